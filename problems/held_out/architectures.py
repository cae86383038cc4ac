"""All held-out architectures."""

from __future__ import annotations

from hessbench.problems.held_out.attention import ATTENTION_MODELS
from hessbench.problems.held_out.convolutional import CONVOLUTIONAL_MODELS
from hessbench.problems.held_out.dense import DENSE_MODELS
from hessbench.problems.held_out.formulas import FORMULA_MODELS
from hessbench.problems.held_out.model import HeldOutModel
from hessbench.problems.held_out.parametrised import PARAMETRISED_MODELS
from hessbench.problems.held_out.recurrent import RECURRENT_MODELS


def held_out_models() -> tuple[HeldOutModel, ...]:
    """Architectures that are in no registry: dense, convolutional, recurrent, with attention, with bound weights."""
    return (
        *DENSE_MODELS, *FORMULA_MODELS, *CONVOLUTIONAL_MODELS, *RECURRENT_MODELS, *ATTENTION_MODELS,
        *PARAMETRISED_MODELS,
    )  # fmt: skip
