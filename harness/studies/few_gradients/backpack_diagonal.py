"""The exact diagonal of a GGN by BackPACK, where it is installed and takes the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from warnings import catch_warnings, simplefilter

import torch
from torch import Tensor

from hessbench.distributions import library
from hessbench.exceptions import named_line
from hessbench.redact import redact

NAME: Final = "BackPACK DiagGGNExact"
"""As the page calls it."""


class PeerRefusalError(ValueError):
    """Why a library of others cannot be asked, in one sentence."""


def backpack_diagonal(network: Any) -> Callable[[], Tensor]:
    """What computes the diagonal (n,) of a GGN as a user of the library does: by one backward pass of the module.

    Args:
        network: A network on the CPU with a module of its own, one batch, and the mean of cross-entropies.

    Raises:
        PeerRefusalError: If the library is not installed, or does not take the network.

    Source:
        Dangel, Kunstner and Hennig, BackPACK (2020), arXiv:1912.10985.
    """
    if network.own is None or len(network.batches) != 1 or network.loss.name != "cross-entropy":
        raise PeerRefusalError("it is asked of a module with one batch and cross-entropy")
    try:
        backpack, extensions = library("backpack"), library("backpack.extensions")
    except ImportError:
        raise PeerRefusalError("the library is not installed") from None
    (batch,) = network.batches
    told: list[str] = []
    # A network of more than modules in a row goes through its converter, which is tried second.
    for convert in (False, True):
        model, parameters = network.own.placed(network.parameters)
        try:
            with catch_warnings():
                simplefilter("ignore")
                extended = backpack.extend(model.eval(), use_converter=convert)
                loss = backpack.extend(torch.nn.CrossEntropyLoss(reduction="mean" if network.loss.mean else "sum"))

            def diagonal(extended: Any = extended, loss: Any = loss, parameters: list[Any] = parameters) -> Tensor:
                with catch_warnings(), torch.enable_grad():
                    simplefilter("ignore")
                    with backpack.backpack(extensions.DiagGGNExact()):
                        loss(extended(batch.inputs), batch.targets).backward()
                found = torch.cat([parameter.diag_ggn_exact.reshape(-1) for parameter in parameters])
                for parameter in parameters:
                    parameter.grad = None
                return found

            diagonal()
        except Exception as failure:  # noqa: BLE001 -- a library of others may raise anything; the page says what
            told.append(redact(named_line(failure)))
            continue
        return diagonal
    raise PeerRefusalError(f"the library does not take this network: {told[0]}; with its converter {told[1]}")
