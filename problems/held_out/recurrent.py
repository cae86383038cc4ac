"""Held-out recurrent networks: torch's layers, its cells in a loop, and scans by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor, nn

from hessbench.problems.held_out.model import Formula, HeldOutModel, tokens, values

SEQUENCE: Final = values(4, 2)


def _last_state(net: Any, x: Tensor) -> Tensor:
    """Dense layer of the outputs at the last time."""
    return net.last(net.layer(x)[0][:, -1])


def _over(make: Callable[[], nn.Module], width: int = 3) -> Callable[[], nn.Module]:
    return lambda: Formula(_last_state, layer=make(), last=nn.Linear(width, 3))


def _embedded(net: Any, x: Tensor) -> Tensor:
    return net.last(net.layer(net.words(x))[1][0][-1])


def _cell(net: Any, x: Tensor) -> Tensor:
    state = x.new_zeros(x.shape[0], 3)
    for step in x.unbind(1):
        state = net.cell(step, state)
    return net.last(state)


def _long_cell(net: Any, x: Tensor) -> Tensor:
    state = (x.new_zeros(x.shape[0], 3), x.new_zeros(x.shape[0], 3))
    for step in x.unbind(1):
        state = net.cell(step, state)
    return net.last(state[0])


def _scan(net: Any, x: Tensor) -> Tensor:
    state, states = x.new_zeros(x.shape[0], 3), list[Tensor]()
    for step in x.unbind(1):
        state = torch.tanh(state @ net.A + net.inner(step))
        states.append(state)
    return net.last(torch.stack(states, 1).mean(1))


def _state_space(net: Any, x: Tensor) -> Tensor:
    """A diagonal linear recurrence by its powers."""
    decay = net.rate.sigmoid()
    powers = decay[None] ** torch.arange(x.shape[1] - 1, -1, -1, dtype=x.dtype)[:, None]
    return net.last((net.inner(x) * powers).sum(1).tanh())


def _minimal_gate(net: Any, x: Tensor) -> Tensor:
    """A gated average whose gates do not see the state, by cumulative products."""
    gates = net.gate(x).sigmoid()
    kept = gates.flip(1).cumprod(1).flip(1)
    return net.last((net.inner(x) * (1 - gates) * kept / gates).sum(1))


def _all_times(net: Any, x: Tensor) -> Tensor:
    return net.last(net.layer(x)[0].flatten(1))


def _time_first(net: Any, x: Tensor) -> Tensor:
    """A layer that takes time first, given it so: no sample meets another."""
    return net.last(net.layer(x.transpose(0, 1))[0][-1])


def _given_state(net: Any, x: Tensor) -> Tensor:
    return net.last(net.layer(x, net.start.expand(1, x.shape[0], 3).contiguous())[0][:, -1])


RECURRENT_MODELS: Final = (
    HeldOutModel("rnn", _over(lambda: nn.RNN(2, 3, batch_first=True)), SEQUENCE, 3),
    HeldOutModel("rnn-relu", _over(lambda: nn.RNN(2, 3, nonlinearity="relu", batch_first=True)), SEQUENCE, 3),
    HeldOutModel("rnn-without-bias", _over(lambda: nn.RNN(2, 3, bias=False, batch_first=True)), SEQUENCE, 3),
    HeldOutModel("lstm", _over(lambda: nn.LSTM(2, 3, batch_first=True)), SEQUENCE, 3),
    HeldOutModel("lstm-both-ways", _over(lambda: nn.LSTM(2, 2, batch_first=True, bidirectional=True), 4), SEQUENCE, 3),
    HeldOutModel("lstm-projected", _over(lambda: nn.LSTM(2, 3, batch_first=True, proj_size=2), 2), SEQUENCE, 3),
    HeldOutModel("lstm-two-layers", _over(lambda: nn.LSTM(2, 2, 2, batch_first=True), 2), SEQUENCE, 3),
    HeldOutModel(
        "lstm-of-words",
        lambda: Formula(
            _embedded, words=nn.Embedding(5, 2), layer=nn.LSTM(2, 2, batch_first=True), last=nn.Linear(2, 3)
        ),
        tokens(5, 4),
        3,
    ),
    HeldOutModel(
        "lstm-all-times",
        lambda: Formula(_all_times, layer=nn.LSTM(2, 2, batch_first=True), last=nn.Linear(8, 3)),
        SEQUENCE,
        3,
    ),
    HeldOutModel(
        "lstm-time-first", lambda: Formula(_time_first, layer=nn.LSTM(2, 2), last=nn.Linear(2, 3)), SEQUENCE, 3
    ),
    HeldOutModel("gru", _over(lambda: nn.GRU(2, 3, batch_first=True)), SEQUENCE, 3),
    HeldOutModel("gru-both-ways", _over(lambda: nn.GRU(2, 2, batch_first=True, bidirectional=True), 4), SEQUENCE, 3),
    HeldOutModel(
        "gru-given-state",
        lambda: Formula(_given_state, layer=nn.GRU(2, 3, batch_first=True), start=torch.zeros(3), last=nn.Linear(3, 3)),
        SEQUENCE,
        3,
    ),
    HeldOutModel("rnn-cell", lambda: Formula(_cell, cell=nn.RNNCell(2, 3), last=nn.Linear(3, 3)), SEQUENCE, 3),
    HeldOutModel("gru-cell", lambda: Formula(_cell, cell=nn.GRUCell(2, 3), last=nn.Linear(3, 3)), SEQUENCE, 3),
    HeldOutModel("lstm-cell", lambda: Formula(_long_cell, cell=nn.LSTMCell(2, 3), last=nn.Linear(3, 3)), SEQUENCE, 3),
    HeldOutModel(
        "scan", lambda: Formula(_scan, inner=nn.Linear(2, 3), A=torch.randn(3, 3), last=nn.Linear(3, 3)), SEQUENCE, 3
    ),
    HeldOutModel(
        "state-space",
        lambda: Formula(_state_space, inner=nn.Linear(2, 3), rate=torch.zeros(3), last=nn.Linear(3, 3)),
        SEQUENCE,
        3,
    ),
    HeldOutModel(
        "gated-average",
        lambda: Formula(_minimal_gate, inner=nn.Linear(2, 3), gate=nn.Linear(2, 3), last=nn.Linear(3, 3)),
        SEQUENCE,
        3,
    ),
)
"""Held-out recurrent networks."""
