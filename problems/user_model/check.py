"""What a user's model must be for its curvature to be defined, tried on a few samples."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from hessbench.exceptions import first_line
from hessbench.operators import NotSymmetric, check_operator
from hessbench.problems.curvature.engines.engine import MATRICES
from hessbench.problems.curvature.engines.table import AUTO
from hessbench.problems.curvature.matrices import curvature_operator, exact_operator, example_gradients
from hessbench.problems.networks.custom_functions import custom_functions, refuse_weight_norm
from hessbench.problems.networks.linearisation import quiet_transforms
from hessbench.problems.networks.network import Network
from hessbench.problems.user_model.first_outputs import CPU, FAILURES, call_failure
from hessbench.problems.user_model.sample_mixing import TRIED, telling_batch
from hessbench.seeding import derive_seed, make_generator

_STEP: Final = 1e-5
_STEP_TOLERANCE: Final = 1e-3

_DROPOUT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
_BATCH_NORM = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_LOOPED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.RNNBase)


@contextmanager
def differentiable_attention() -> Generator[None]:
    """Attention by kernels that can be differentiated twice; the fused ones cannot."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def refuse_modes(model: nn.Module) -> None:
    """Refuse a module that is random, or that mixes the samples of a batch.

    Raises:
        ValueError: Naming it, with the remedy.
    """
    for name, module in model.named_modules():
        called = f"{name or 'the model'} ({type(module).__name__})"
        drops = isinstance(module, _DROPOUT) and module.p > 0
        drops |= isinstance(module, nn.RNNBase | nn.MultiheadAttention) and module.dropout > 0
        if drops and module.training:
            raise ValueError(f"{called} draws at random in training mode: call model.eval() first")
        if isinstance(module, _BATCH_NORM):
            if module.training:
                raise ValueError(
                    f"{called} mixes the samples of a batch in training mode, so no sample has a loss of its own: "
                    "call model.eval() first"
                )
            if module.running_mean is None:
                raise ValueError(
                    f"{called} keeps no running statistics and so mixes the samples of a batch in every mode: "
                    "make it with track_running_stats=True"
                )


def tried(network: Network, model: nn.Module, operator: str) -> tuple[Network, bool]:
    """Multiply with the operator on a few samples, in both dtypes, and find how blocks can be multiplied.

    What is not symmetric or linear on a few must be so on all: the curvature of a few may be rounding.

    Args:
        network: The network.
        model: The module it is made of.
        operator: Name of the matrix.

    Returns:
        The network, vectorised where its kind is faster so and torch can, and whether gradients of single samples can
        be had in one pass.

    Raises:
        ValueError: If torch cannot differentiate it twice, naming the operation, or its loss is not finite.
        NotSymmetric: If its products are those of no symmetric matrix on all samples.
    """
    whole = replace(network, batched=False, traced=False)
    few = replace(whole, batches=(telling_batch(network),))
    # The kernel's products are those of its two factors, C times over; the Gram matrix's those of the GGN's.
    matrix = {"ntk": "gradient-second-moment", "gram": "ggn"}.get(operator, operator)
    try:
        _try_products(few.to(CPU, torch.float64), matrix)
    except NotSymmetric:
        if few.num_samples == network.num_samples:
            raise
        # Batch by batch, graphs made again for each: all of them at once may be more than fits.
        engine = "double-backward" if matrix in MATRICES else AUTO
        _try_products(whole.to(CPU, torch.float64), matrix, engine)
    _try_products(few.to(CPU, torch.float32), matrix)
    looped = any(isinstance(module, _LOOPED) for module in model.modules())
    exact = few.to(CPU, torch.float64)
    by_example = _runs_by_example(exact)
    batched = by_example and not looped and _runs_batched(replace(exact, batched=True), matrix)
    return replace(network, batched=batched, traced=False), by_example


def _try_products(network: Network, operator: str, engine: str = "") -> None:
    dtype = network.parameters.dtype
    first = network.batches[0]
    shown = replace(network, batches=(first.part(slice(2 * TRIED)),))
    outputs = _with_graph(shown)
    if operator in ("hessian", "residual"):
        refuse_weight_norm(outputs)
    try:
        op = curvature_operator(network, operator, engine) if engine else exact_operator(network, operator)
        if dtype == torch.float64:
            check_operator(op, make_generator(derive_seed("from-model-trial")))
        else:
            op.matmat(torch.ones(op.dim, 1, dtype=dtype))
    except (RuntimeError, TypeError) as failure:
        raise ValueError(_twice_failure(failure, outputs)) from failure
    except ValueError as failure:
        for sign, said in (
            ("not symmetric", f"the products of the {operator} are not symmetric"),
            ("does not change with the parameters", "its gradient does not change with the parameters"),
        ):
            if sign in str(failure) and custom_functions(outputs):
                raise type(failure)(_hidden(outputs, said)) from failure
        raise
    customs = custom_functions(outputs)
    if customs and operator == "hessian" and dtype == torch.float64:
        _compare_with_differences(network, customs)


def _with_graph(network: Network) -> Tensor:
    """The objective with its graph.

    Raises:
        ValueError: If it does not depend on the parameters, or the model cannot be called so.
    """
    parameters = network.parameters.detach().clone().requires_grad_()
    try:
        with torch.enable_grad():
            objective = network.objective(parameters)
    except FAILURES as failure:
        raise ValueError(call_failure(failure, network.batches[0].inputs)) from failure
    if not objective.requires_grad:
        raise ValueError(
            "the loss does not depend on the chosen parameters in a way torch can follow: look for detach, argmax or "
            "torch.no_grad in forward"
        )
    return objective


def _compare_with_differences(network: Network, customs: list[str]) -> None:
    """Hold a Hessian product against differences of gradients, where a custom function could lose a term unseen.

    Raises:
        NotSymmetric: If they differ by more than rounding and the step explain.
    """
    point = network.parameters.detach()
    v = torch.randn(point.numel(), generator=make_generator(derive_seed("from-model-step")), dtype=point.dtype)
    v /= v.norm()

    def gradient(at: Tensor) -> Tensor:
        tracked = at.clone().requires_grad_()
        with torch.enable_grad():
            (found,) = torch.autograd.grad(network.objective(tracked), tracked)
        return found

    differences = (gradient(point + _STEP * v) - gradient(point - _STEP * v)) / (2 * _STEP)
    product = exact_operator(network, "hessian").matmat(v[:, None])[:, 0]
    allowed = _STEP_TOLERANCE * float(differences.norm() + product.norm()) + _STEP**1.5 * float(gradient(point).norm())
    if float((differences - product).norm()) > allowed:
        raise NotSymmetric(
            f"the second derivative of {' or '.join(customs)} (a custom autograd.Function) is not that of its "
            "gradient: write its backward with differentiable torch operations of saved tensors"
        )


def _runs_batched(network: Network, operator: str) -> bool:
    try:
        op = exact_operator(network, operator)
        op.matmat(torch.ones(op.dim, 2, dtype=op.dtype))
    except (RuntimeError, TypeError):
        return False
    return True


def _runs_by_example(network: Network) -> bool:
    batch = network.batches[0]
    try:
        with quiet_transforms():
            slope = network.loss.slope(network.on(batch)(network.parameters).detach(), batch.targets)
            example_gradients(network, batch.inputs, slope)
    except (RuntimeError, TypeError):
        return False
    return True


def _twice_failure(failure: Exception, objective: Tensor) -> str:
    """What torch cannot differentiate twice, as one sentence."""
    said = first_line(failure).rstrip(".")
    missing = re.search(r"derivative for '?(?:aten::)?([\w.:]+)'? is not implemented", said)
    if missing:
        return f"the model cannot be differentiated twice: torch has no derivative for {missing[1]}; replace it"
    if re.search(
        r"once_differentiable|does not require grad|not have been used|double backward|autograd.Function", said
    ):
        return _hidden(objective, said)
    return f"the model cannot be differentiated twice: {said}"


def _hidden(objective: Tensor, said: str) -> str:
    """That something in a graph hides a derivative: its custom functions where it has any."""
    customs = custom_functions(objective)
    which = (
        f"{' or '.join(customs)} (a custom autograd.Function)" if customs else "an operation (detach, torch.no_grad)"
    )
    return f"the model cannot be differentiated twice: {which} hides a derivative ({said})"
