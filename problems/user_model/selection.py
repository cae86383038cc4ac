"""Which parameters of a user's model are differentiated."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from hessbench.specs import suggest

Selection: TypeAlias = str | Callable[[str], bool] | Iterable[str | Tensor] | None


def selected_names(model: nn.Module, params: Selection) -> tuple[str, ...]:
    """Names of the chosen parameters, in the order of `named_parameters`; a tied weight once, by its first name.

    Frozen parameters (`requires_grad` false) stay out of every choice.

    Args:
        model: Holds them.
        params: None for all; names of parameters or modules, or parameters themselves; or a function of the name.

    Raises:
        ValueError: If nothing is left, a name is unknown, or a frozen parameter is named itself.
    """
    first: dict[int, str] = {}
    by_name: dict[str, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        by_name[name] = first.setdefault(id(parameter), name)
    known = dict(model.named_parameters())
    for name, parameter in known.items():
        if isinstance(parameter, UninitializedParameter):
            raise ValueError(f"the parameter {name} has no shape yet: call the model on one batch first")
        if parameter.is_complex():
            raise ValueError(f"the parameter {name} is complex: real parameters are accepted")
    trainable = [name for name, parameter in known.items() if parameter.requires_grad]
    if params is None:
        chosen = set(trainable)
    elif callable(params):
        chosen = {name for name in trainable if params(name)}
    else:
        listed = [params] if isinstance(params, str) else list(params)
        chosen = {name for item in listed for name in _named(item, first, by_name, trainable)}
    if not chosen:
        raise ValueError("params chooses no parameter that requires a gradient: at least one is needed")
    return tuple(name for name in trainable if name in chosen)


def _named(item: str | Tensor, first: dict[int, str], by_name: dict[str, str], trainable: list[str]) -> list[str]:
    if isinstance(item, Tensor):
        if id(item) not in first:
            raise ValueError(f"params holds a tensor {tuple(item.shape)} that is no parameter of the model")
        found, text = [first[id(item)]], first[id(item)]
    else:
        text = item
        found = [own for name, own in by_name.items() if name == item or name.startswith(f"{item}.")]
    if not found:
        modules = {".".join(name.split(".")[:depth]) for name in by_name for depth in range(1, name.count(".") + 1)}
        raise ValueError(
            f"params: the model has no parameter or module {text!r}{suggest(text, [*by_name, *sorted(modules)])}; "
            "names as in named_parameters() are accepted"
        )
    kept = [name for name in found if name in trainable]
    if not kept:
        raise ValueError(f"params: {text} is frozen: call requires_grad_() on it, or leave it out")
    return kept
