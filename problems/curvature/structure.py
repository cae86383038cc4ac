"""TEMP"""
from hessbench.operator_structure import Structure
from hessbench.problems.curvature.rules.affine import is_affine_in_each
import torch
def structure_of(network):
    n = network.parameters.numel()
    flat = torch.full((n,), is_affine_in_each(network))
    return Structure(flat, ((0, n),) if flat.all() else ())
