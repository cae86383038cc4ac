"""The family `digits-mlp`: a small perceptron really trained on real digits, small enough for a dense answer."""

from __future__ import annotations

from functools import cache
from typing import Final

from hessbench.estimand.from_dense import DENSE_LIMIT, dense_references
from hessbench.problem import FACTOR, NETWORK, PSD, Problem, ProblemFamily, array_hash
from hessbench.problems.curvature.engines.table import AUTO, engine_names
from hessbench.problems.curvature.matrices import curvature_operator
from hessbench.problems.network_families.mlp import digits_network, mlp_dim
from hessbench.problems.parameters import in_range, nearest, one_of, spec_text, with_engine
from hessbench.problems.references.dense import dense_ggn, dense_hessian

STEPS: Final = (0, 10, 100, 500)
OPERATORS: Final = ("hessian", "ggn")
MAX_WIDTH: Final = 200_000


def digits_mlp_problem(*, step: int = 500, operator: str = "hessian", width: int = 32, engine: str = AUTO) -> Problem:
    """Hessian or GGN of the mean cross-entropy of a 49-width-10 tanh perceptron over 500 handwritten digits.

    All 60 width + 10 parameters (1930 by default), after `step` steps of SGD; see `network_families.mlp`.

    Args:
        step: Training steps made: 0, 10, 100 or 500.
        operator: hessian or ggn.
        width: Hidden units, 1 to 200000; other widths than 32 are meant for prices at other sizes.
        engine: How products are made: auto for the fastest way here, or a name of `curvature.engines.table`.

    Raises:
        ValueError: If a parameter is out of range.
    """
    family = "digits-mlp"
    one_of(family, "step", step, STEPS)
    one_of(family, "operator", operator, OPERATORS)
    one_of(family, "engine", engine, engine_names(operator))
    in_range(family, "width", width, 1, MAX_WIDTH)

    def fingerprint() -> str:
        network = digits_network(width, step)
        (batch,) = network.batches
        return array_hash(network.parameters.numpy(), batch.inputs.numpy(), batch.targets.numpy())

    dim = mlp_dim(width)
    dense = dense_hessian if operator == "hessian" else dense_ggn
    problem = Problem(
        name=spec_text(family, digits_mlp_problem, step=step, operator=operator, width=width),
        dim=dim,
        build=lambda device, dtype: curvature_operator(digits_network(width, step).to(device, dtype), operator, engine),
        network=lambda: digits_network(width, step),
        references=dense_references(lambda: dense(digits_network(width, step))) if dim <= DENSE_LIMIT else {},
        traits=(NETWORK, PSD, FACTOR) if operator == "ggn" else (NETWORK,),
        fingerprint=cache(fingerprint),
        # Untrained at other sizes: a price depends on the shapes alone.
        ladder=lambda n: digits_mlp_problem(
            step=0, operator=operator, width=nearest(round((n - mlp_dim(0)) / 60), 1, MAX_WIDTH), engine=engine
        ),
        modules=("sklearn.datasets", "torch._dynamo"),
    )
    return with_engine(problem, engine)


DIGITS_MLP: Final = ProblemFamily(
    "digits-mlp",
    digits_mlp_problem,
    presets=tuple(f"digits-mlp[operator={operator},step={step}]" for operator in OPERATORS for step in STEPS),
    summary="Hessian or GGN of a 1930-parameter perceptron trained 0 to 500 steps on handwritten digits",
)
