"""Curvature matrices by torch's own dense derivatives: shares nothing with the operators that it judges."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import torch
from torch import Tensor, nn
from torch.autograd import functional
from torch.nn.attention import SDPBackend, sdpa_kernel


@dataclass(frozen=True)
class PlainCurvature:
    """Dense matrices of a module, data and an objective, from the definitions.

    Attributes:
        module: In evaluation mode, float64.
        inputs: Inputs (m, ...).
        objective: From outputs (m, C), the scalar that is differentiated.
        mean: Whether that is a mean over the samples.
    """

    module: nn.Module
    inputs: Tensor
    objective: Callable[[Tensor], Tensor]
    mean: bool

    def outputs_at(self, parameters: Tensor) -> Tensor:
        """Outputs (m, C) for flat parameters (n,), those that require a gradient in the order of `named_parameters`."""
        chosen = {name: value for name, value in self.module.named_parameters() if value.requires_grad}
        pieces = parameters.split([value.numel() for value in chosen.values()])
        tensors = {name: piece.view_as(chosen[name]) for name, piece in zip(chosen, pieces, strict=True)}
        # On a copy: after the call torch leaves a layer that is used twice without its own weights. Attention by the
        # kernel that can be differentiated twice.
        with sdpa_kernel(SDPBackend.MATH):
            return torch.func.functional_call(copy.deepcopy(self.module), tensors, (self.inputs.clone(),))

    @cached_property
    def point(self) -> Tensor:
        """Flat parameters (n,)."""
        return torch.cat([value.detach().flatten() for value in self.module.parameters() if value.requires_grad])

    @cached_property
    def outputs(self) -> Tensor:
        """Outputs (m, C)."""
        return self.outputs_at(self.point).detach()

    @cached_property
    def scale(self) -> float:
        """What the sum over the samples is multiplied by."""
        return 1 / self.outputs.shape[0] if self.mean else 1.0

    @cached_property
    def jacobian(self) -> Tensor:
        """Jacobian (m, C, n) of the outputs."""
        return _dense(functional.jacobian, self.outputs_at, self.point)

    @cached_property
    def slopes(self) -> Tensor:
        """Gradient (m, C) of the objective in the outputs."""
        return _dense(functional.jacobian, self.objective, self.outputs)

    @cached_property
    def gradients(self) -> Tensor:
        """Gradients (m, n) of the losses of single samples."""
        return torch.einsum("mcn,mc->mn", self.jacobian, self.slopes) / self.scale

    @property
    def size(self) -> float:
        """What rounding is measured against: the largest entry of J^T J, scaled, at least that of the slopes' part."""
        size = self.scale * float(self.jacobian.square().sum(dim=(0, 1)).max())
        return size * max(1.0, float(self.slopes.abs().max()) / self.scale)

    def matrix(self, operator: str) -> Tensor:
        """A matrix by the name it has in `hessbench.problems.curvature.matrices`.

        Raises:
            ValueError: If it is none of those that the definition alone gives.
        """
        if operator == "hessian":
            return _dense(
                functional.hessian, lambda parameters: self.objective(self.outputs_at(parameters)), self.point
            )
        if operator == "residual":
            return _dense(
                functional.hessian, lambda parameters: (self.outputs_at(parameters) * self.slopes).sum(), self.point
            )
        if operator == "ggn":
            m, C = self.outputs.shape
            bend = _dense(functional.hessian, self.objective, self.outputs).reshape(m * C, m * C)
            return self.jacobian.flatten(0, 1).T @ bend @ self.jacobian.flatten(0, 1)
        if operator == "gradient-second-moment":
            return self.scale * self.gradients.T @ self.gradients
        if operator == "gradient-covariance":
            centred = self.gradients - self.gradients.mean(dim=0)
            return self.scale * centred.T @ centred
        if operator == "ntk":
            return torch.einsum("icn,jcn->ij", self.jacobian, self.jacobian)
        raise ValueError(f"no plain definition of operator={operator}")

    def fisher(self, drawn: Tensor) -> Tensor:
        """The Monte-Carlo Fisher matrix of slopes (m, C, r) at drawn targets."""
        rows = torch.einsum("mcn,mcr->mrn", self.jacobian, drawn).flatten(0, 1)
        return self.scale / drawn.shape[2] * rows.T @ rows


def _dense(derivative: Callable[..., object], function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """A derivative by torch; zero where the function does not depend on the argument."""
    return cast("Tensor", derivative(function, at)).detach()
