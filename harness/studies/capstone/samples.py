"""The Hessians of single training images beside that of their mean."""

from __future__ import annotations

from hessbench.methods.eigenvalues.per_example import example_eigenvalues
from hessbench.problems.curvature.example_curvature import ExampleCurvature
from hessbench.reports.capstone.measures import step
from hessbench.seeding import derive_seed, make_generator
from hessbench.studies.capstone.trained import network_of
from hessbench.studies.unit import UnitRecord


def record_samples(record: UnitRecord, run: int, number: int) -> None:
    """Keep the largest eigenvalue of the Hessian of each training image at a step.

    Args:
        record: Of the unit.
        run: Number of the training.
        number: Step.

    Cost: 20 products of each image.
    """
    examples = ExampleCurvature(network_of(run, number))
    generator = make_generator(derive_seed("capstone samples", str(run), str(number)))
    found = example_eigenvalues(examples, generator=generator)
    record.keep(f"{step(number)} example tops", found.largest)
    record.keep(f"{step(number)} example residuals", found.residuals)
