"""Products to an answer within 1 %: the smallest budget from which on a method stays within it.

In most cells the products equal the budget whatever happens, and can never rise; these do, with a product that is
counted twice and with an estimator that needs more of them.
"""

import collections
import math
import statistics
import tempfile

import hessbench.ledger.reading
import hessbench.ledger.record
import hessbench.running.runner
import hessbench.running.suite

TOLERANCE = 0.01
REPEATS = 3

# problem | method | estimand | budgets. A text names a series for ever: change none, add new ones at the end.
CELLS = [
    "student-t[n=1000,zero_fraction=0.9] | lanczos[reorth=full] | top-eigenvalues[k=10] | 12 16 20 24 28 32 40 64 80",
    "student-t[n=1000,zero_fraction=0.9] | randomized-eigh | top-eigenvalues[k=10] | 80 120 160 200 240 280 320 400",
    "student-t[n=1000,zero_fraction=0.9] | hutchpp | trace | 40 60 80 100 120 160 200 240 320",
    "digits-mlp[step=500] | lanczos[reorth=full] | top-eigenvalues[k=10] | 12 16 20 24 28 32 40 64 80",
    "digits-mlp[step=500] | hutchpp | trace | 40 60 80 120 160 240",
    "diagonal[n=1000] | hutchinson-diagonal | diagonal | 40 60 80 100 120 160 200 240 320",
]


def suite_of(cell):
    """A suite of one cell, timed alone, three times."""
    problem, method, estimand, budgets = cell.split(" | ")
    grid = tuple(map(int, budgets.split()))
    cross = hessbench.running.suite.Cross(estimand, (problem,), (method,), grid, REPEATS, memory=False)
    return hessbench.running.suite.Suite("asv-answers", 1, (cross,))


def products_of(rows, largest):
    """Median over repeats of the smallest budget from which on every answer is within the tolerance.

    Where a repeat never is, twice the largest budget: more than any that is, so that it cannot pass for fewer.

    Raises:
        RuntimeError: If a run failed.
    """
    answers = collections.defaultdict(dict)
    for row in rows:
        if row.kind is hessbench.ledger.record.Kind.TERMINAL:
            if row.status is not hessbench.ledger.record.Status.OK:
                raise RuntimeError(f"{row.status.value}: {row.reason}")
        else:
            answers[row.repeat][row.budget] = math.inf if row.error is None else row.error
    if len(answers) < REPEATS:
        raise RuntimeError(f"{len(answers)} of {REPEATS} repeats left an answer")
    return statistics.median(reached(errors, largest) for errors in answers.values())


def reached(errors, largest):
    """The smallest budget from which on every error is within the tolerance, twice the largest where none is."""
    found = 2.0 * largest
    for budget in sorted(errors, reverse=True):
        if not errors[budget] <= TOLERANCE:
            break
        found = float(budget)
    return found


def measure(cell):
    """Rows of a cell's own estimand; None where this commit does not know what it names."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            hessbench.running.runner.run(suite_of(cell), folder, hessbench.running.runner.Options(prices=False))
        except ValueError:
            return None
        rows = hessbench.ledger.reading.Ledger.read(folder).records
    return [row for row in rows if row.estimand == cell.split(" | ")[2]]


class Answer:
    """One series per cell. Lower is better."""

    params = (CELLS,)
    param_names = ("cell",)
    version = "1"
    timeout = 60

    def setup_cache(self):
        return {cell: measure(cell) for cell in CELLS}

    setup_cache.timeout = 1800

    def track_products_to_1_percent(self, rows, cell):
        if rows[cell] is None:
            return math.nan
        return products_of(rows[cell], max(map(int, cell.split(" | ")[3].split())))

    track_products_to_1_percent.unit = "products"
