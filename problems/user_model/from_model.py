"""A problem of any module of torch, in three lines.

model.eval()
problem = from_model(model, "cross-entropy", (inputs, labels), operator="ggn")
PROBLEMS = [problem]
"""

from __future__ import annotations

import copy
import math
import re
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.weight_norm import WeightNorm

from hessbench.exceptions import first_line
from hessbench.problem import Problem, array_hash
from hessbench.problems.curvature.choice import MatrixChoice
from hessbench.problems.curvature.engines.table import AUTO
from hessbench.problems.curvature.matrices import operator_dim
from hessbench.problems.network_problem import network_problem
from hessbench.problems.networks.flat import parameter_shapes
from hessbench.problems.networks.inputs import structure_of, tensors_of
from hessbench.problems.networks.network import Batch, Network, refuse_infinite
from hessbench.problems.networks.restriction import ALL, block_shapes
from hessbench.problems.user_model.calling import ways_to_call
from hessbench.problems.user_model.check import refuse_modes, tried
from hessbench.problems.user_model.checkpointing import refusing_checkpoints
from hessbench.problems.user_model.data import Data, read_batches
from hessbench.problems.user_model.exact_activations import ExactCelu, exact
from hessbench.problems.user_model.first_outputs import first_outputs, outputs_shapes, way_to_call
from hessbench.problems.user_model.layout import UserLoss, layout_of
from hessbench.problems.user_model.loss import loss_of, loss_text
from hessbench.problems.user_model.model_part import ModelPart
from hessbench.problems.user_model.padded_embedding import fix_padding
from hessbench.problems.user_model.selection import Selection, selected_names
from hessbench.problems.user_model.targets import ignored_label, rowed_targets
from hessbench.specs import check_name

EAGER: Final = 2**26
"""Samples times parameters up to which the whole loss is looked at when the problem is made, not only when built."""


def from_model(
    model: nn.Module,
    loss: UserLoss,
    data: Data,
    params: Selection = None,
    *,
    operator: str = "hessian",
    block: str = ALL,
    name: str | None = None,
    dtype: torch.dtype = torch.float32,
    weight_decay: float = 0.0,
    mc_samples: int = 1,
    seed: int = 0,
    engine: str = AUTO,
    micro_batch: int = 0,
) -> Problem:
    """A curvature matrix of a model, its loss and its data as a problem.

    Model and data are copied now; what happens to them later changes nothing, and they are left as they are, mode and
    buffers included. The model must treat every sample by itself: dropout and batch norm in training mode are
    refused (call `model.eval()`); of other ways to mix samples those are seen that show in the first batch: in samples
    alone, or in another order.
    Its inputs may be several, and its outputs of any shape: `nn.CrossEntropyLoss` finds the classes along the second
    axis, (m, C, ...), as torch has it; the losses by name along the last one, (m, ..., C); a function of one's own gets
    the outputs as they are. A mean is over samples and positions, and every position of every batch weighs the same,
    whatever its length; a sample is what lies along the first axis, and its loss its share of that mean.
    Vectors of the problem come back in the shape of the parameters by `problem.split(vector)`, in the order of
    `named_parameters`. In a plugin file, seed what the file draws: each process imports it anew.

    Args:
        model: Any module from inputs (m, ...) to outputs (m, C), (m,) or (m, ..., C), or to a dict or an object that
            holds these as `logits`; in evaluation mode, on any device. Tied weights count once, and both uses are
            differentiated.
        loss: "cross-entropy" or "squared" (half the squared distance), means over all axes but the last;
            `nn.CrossEntropyLoss`, `nn.BCEWithLogitsLoss` or `nn.MSELoss`, their reduction, weights, smoothing and
            ignored labels respected; or any function of outputs and targets whose attribute `reduction`, "mean" by
            default, says how it combines samples. A weighted mean divides by the weights of all labels in all batches.
        data: A pair (inputs, targets) of tensors or arrays, a list of such pairs, or a DataLoader that does not
            shuffle. A batch counts by its samples, a ragged last one too. Inputs may be a tuple or a dict of tensors,
            masks among them: they are arguments of the model's `forward` where its signature takes them so, else one
            argument. A batch may also be tensors of which the last are the targets, or a dict whose `labels` are.
        params: What is differentiated: all parameters that require a gradient by default; names of parameters or
            modules, or parameters; or a function of the name. Frozen parameters stay out.
        operator: hessian, ggn, residual, gradient-second-moment, gradient-covariance, monte-carlo-fisher, ntk or gram;
            see `hessbench.problems.curvature.matrices`.
        block: Part of the chosen parameters; see `hessbench.problems.networks.restriction.block_index`.
        name: Name of the problem; made of the class and the operator by default.
        dtype: float32 or float64: what weights, buffers and data are rounded to once, so that cells in float32 and
            float64 and the references see the same numbers. With float64, cells in float32 see rounded ones.
        weight_decay: Added to every diagonal entry, for hessian and ggn; 0 to 1e6.
        mc_samples: Targets drawn for each sample, for monte-carlo-fisher; 1 to 1000.
        seed: Of those draws.
        engine: How products with the Hessian and the GGN are made: auto for the fastest way here, or a name of
            `hessbench.problems.curvature.engines.table`. It is not part of the problem's hash.
        micro_batch: Samples that engines multiply at a time, nothing being kept between them; 0 for whole batches.

    Returns:
        The problem, with its references where the size allows them.

    Cost: a few products with four samples, two passes over the first batch or as many of its samples as take no longer
    than a second or so, and one over the data where that is small. The Jacobian-vector product
    is never traced, which needs less of the model and costs convolutions about half as much again.

    Raises:
        ValueError: Saying in one sentence what is not accepted, or what torch cannot differentiate twice.
    """
    choice = MatrixChoice(operator, weight_decay, mc_samples, seed, engine=engine, micro_batch=micro_batch)
    choice.check("from_model")
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"from_model: dtype must be torch.float32 or torch.float64, got {dtype}")
    chosen_name = name or _default_name(model, operator, block)
    check_name(chosen_name, "problem")
    _refuse_other_than_modules(model)
    names = selected_names(model, params)
    refuse_modes(model)
    batches = read_batches(data, dtype)
    own = _own_copy(model)
    state = _rounded_state(own, dtype)
    shapes = parameter_shapes(own, names)
    kept = block_shapes(block, shapes)
    part = ModelPart(own, state, names, block)
    with refusing_checkpoints(), ExactCelu() as celu:
        ways = ways_to_call(own, batches[0].inputs)
        way = way_to_call(ways, part.forward, part.parameters, batches[0])
        forward = part.forward(way)
        parameters = part.parameters
        shown = first_outputs(forward, parameters, batches[0])
        layout = layout_of(loss, batches, outputs_shapes(forward, parameters, batches, shown))
    forward = layout.forward(exact(forward) if celu.met else forward)
    found = loss_of(loss, batches, layout.flat(shown), layout)
    batches = layout.filled(rowed_targets(batches, layout), ignored_label(loss))
    outputs = layout.rows_of(shown)
    network = Network(forward, parameters, batches, found, own=part.module(way, layout))
    network, by_example = tried(network, own, operator)
    small = network.num_samples * network.parameters.numel() <= EAGER
    if small:
        _refuse_infinite_batches(network)

    def fingerprint() -> str:
        """Weights, buffers and data; texts of model, loss and block; and outputs, which show the code of `forward`."""
        arrays = [state[key].numpy() for key in sorted(state)]
        arrays += [tensor.numpy() for batch in batches for tensor in (*tensors_of(batch.inputs), batch.targets)]
        structure = structure_of(batches[0].inputs)
        text = [_architecture(own), loss_text(loss), *names, operator, block, *_digits(outputs), *choice.extras]
        text += [structure] if structure else []
        return array_hash(
            *arrays, *(np.frombuffer(line.encode(), np.uint8) for line in (*text, _slopes(network, outputs)))
        )

    return network_problem(
        chosen_name,
        choice,
        lambda: network,
        dim=operator_dim(network, operator),
        loss=network.loss,
        fingerprint=fingerprint,
        shapes=kept,
        factored=by_example,
    )


def _refuse_other_than_modules(model: object) -> None:
    if isinstance(model, nn.Module):
        return
    if isinstance(model, type):
        raise ValueError(
            f"model is the class {model.__name__} itself: an instance is accepted, as {model.__name__}(...)"
        )
    called = getattr(model, "__name__", type(model).__name__)
    raise ValueError(
        f"model must be an nn.Module, which holds its parameters, got {called}"
        + (" (a function): make it the forward of a class of nn.Module" if callable(model) else "")
    )


def _own_copy(model: nn.Module) -> nn.Module:
    """A copy on the CPU, in the mode of the original.

    Raises:
        ValueError: If the model cannot be copied.
    """
    for name, module in model.named_modules():
        if any(isinstance(hook, WeightNorm) for hook in vars(module)["_forward_pre_hooks"].values()):
            raise ValueError(
                f"{name or 'the model'} ({type(module).__name__}) holds nn.utils.weight_norm, which cannot be copied: "
                "merge its weight by nn.utils.remove_weight_norm"
            )
    try:
        own = copy.deepcopy(model).cpu()
    except (RuntimeError, TypeError) as failure:
        said = first_line(failure)
        raise ValueError(f"the model cannot be copied by copy.deepcopy: {said}") from failure
    own.zero_grad(set_to_none=True)
    for module in own.modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag):
            module.sparse = False  # the same gradient, dense: sparse ones cannot be differentiated again
        if isinstance(module, nn.Embedding):
            fix_padding(module)
    return own


def _rounded_state(model: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """Parameters and buffers by name.

    Raises:
        ValueError: If a parameter is not finite.
    """
    state: dict[str, Tensor] = {}
    for name, value in (*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)):
        state[name] = value.detach().to(dtype) if value.is_floating_point() else value.detach()
        if isinstance(value, nn.Parameter) and not bool(torch.isfinite(state[name]).all()):
            raise ValueError(f"the parameter {name} holds values that are not finite in {dtype}")
    return state


def _refuse_infinite_batches(network: Network) -> None:
    for number, batch in enumerate(network.batches, 1):
        with torch.no_grad():
            total = network.loss.total(network.forward(network.parameters, batch.inputs), batch.targets)
        refuse_infinite(total, number)


def _default_name(model: nn.Module, operator: str, block: str) -> str:
    words = f"{type(model).__name__}-{operator}" + ("" if block == ALL else f"-{block}")
    return re.sub(r"[^a-z0-9+]+", "-", words.lower()).strip("-")


def _architecture(model: nn.Module) -> str:
    """What the model prints, without addresses, and the class and mode of every module."""
    printed = re.sub(r" at 0x[0-9a-f]+", "", repr(model))
    modules = [f"{name} {type(module).__qualname__} {module.training}" for name, module in model.named_modules()]
    return "\n".join([printed, *modules])


def _digits(values: Tensor) -> list[str]:
    """Values to five digits of the largest, as another machine finds them too."""
    size = float(values.abs().max())
    if not 0 < size < math.inf:
        return [str(size)]
    return [f"{size:.4e}", *(f"{number + 0.0:.4f}" for number in np.round((values / size).flatten().numpy(), 4))]


def _slopes(network: Network, outputs: Tensor) -> str:
    """Digits of the loss's gradient in the outputs, which show the code of a loss of one's own."""
    targets = network.batches[0].targets[: outputs.shape[0]]
    batch = Batch(outputs, targets).to(torch.device("cpu"), torch.float64)
    return " ".join(_digits(network.loss.slope(batch.inputs, batch.targets)))
