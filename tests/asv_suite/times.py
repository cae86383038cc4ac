"""Times as ratios to work done beside them: a product to a gradient by engine, a cell to a fixed piece of work.

A ratio is the median of three paired samples, and a sample is in seconds of processors, which other load on the machine
moves far less than those of the clock. Seconds themselves are followed by no series: an untouched commit showed 54 %.
"""

import math
import statistics
import time

import torch

import hessbench.catalog
import hessbench.cells.cell
import hessbench.cells.execute
import hessbench.estimand

SAMPLES = 3
TURNS = 6
LEAST_S = 0.02

# problem | matrix | engine. A text names a series for ever: change none, add new ones at the end.
PRODUCTS = [
    f"{problem} | {engine}"
    for problem in (
        "digits-mlp[step=500] | hessian",
        "mlp[operator=ggn,per_class=10,weights=random,widths=512-256] | ggn",
    )
    for engine in ("kept-graph", "rules", "double-backward", "forward-over-reverse")
]

# problem | method | estimand | products. Likewise.
CELLS = [
    "student-t[n=1000,zero_fraction=0.9] | lanczos[reorth=full] | top-eigenvalues[k=10] | 80",
    "student-t[n=1000,zero_fraction=0.9] | sketch | top-eigenvalues[k=10] | 80",
    "student-t[n=1000,zero_fraction=0.9] | hutchpp | trace | 80",
    "student-t[n=1000,zero_fraction=0.9] | slq | density | 80",
    "student-t[n=1000,zero_fraction=0.9] | kpm | density | 80",
    "digits-mlp[engine=kept-graph,step=500] | lanczos[reorth=full] | top-eigenvalues[k=10] | 80",
    "digits-mlp[engine=kept-graph,step=500] | slq | density | 80",
]


def paired_ratio(work, yardstick):
    """Median over samples of the least seconds of `work` over the least of `yardstick`, in short turns.

    The least of several turns is the one that caches and other processes have disturbed least.
    """
    sides = (work, yardstick)
    counts = [calls_for(run) for run in sides]
    ratios = []
    for _ in range(SAMPLES):
        least = [math.inf, math.inf]
        for turn in range(2 * TURNS):
            # Never the same first: 0 1, 1 0, 0 1, ...
            which = (turn + turn // 2) % 2
            least[which] = min(least[which], seconds_of(sides[which], counts[which]) / counts[which])
        ratios.append(least[0] / least[1])
    return statistics.median(ratios)


def calls_for(run):
    """Calls that fill a turn, after one that is thrown away."""
    run()
    return max(1, math.ceil(LEAST_S / max(seconds_of(run, 1), 1e-6)))


def seconds_of(run, calls):
    """Seconds of processors that calls take."""
    begin = time.process_time()
    for _ in range(calls):
        run()
    return time.process_time() - begin


def gradient_of(network):
    """The gradient of a network's objective, as its author would take it."""
    parameters = network.parameters.detach().clone().requires_grad_()
    return lambda: torch.autograd.grad(network.objective(parameters), parameters)[0]


def product_ratio(text):
    """A column of a product over a gradient; NaN where this commit does not know the problem or the engine."""
    problem, matrix, engine = text.split(" | ")
    try:
        import hessbench.problems.curvature.engines.operator

        network = hessbench.catalog.load_catalog().problem(problem).network()
    except (ValueError, ImportError):
        return math.nan
    network = network.to(torch.device("cpu"), torch.float32)
    op = hessbench.problems.curvature.engines.operator.EngineOperator(network, matrix, engine)
    column = torch.randn(op.dim, 1, generator=torch.Generator().manual_seed(0))
    return paired_ratio(lambda: op.matmat(column), gradient_of(network))


def cell_ratio(text):
    """A whole cell over a fixed piece of work; NaN where this commit does not know the cell.

    Raises:
        RuntimeError: If the cell fails.
    """
    problem, method, estimand, products = text.split(" | ")
    catalog = hessbench.catalog.load_catalog()
    try:
        built = catalog.problem(problem)
        bound = catalog.method(method, hessbench.estimand.parse_estimand(estimand))
    except ValueError:
        return math.nan
    cell = hessbench.cells.cell.Cell(built.name, str(bound.spec), estimand, (int(products),))

    def work():
        emitted = []
        hessbench.cells.execute.execute(cell, built, bound, emitted.append)
        if emitted[-1].status.value != "ok":
            raise RuntimeError(f"{emitted[-1].status.value}: {emitted[-1].reason}")

    return paired_ratio(work, fixed_work())


def fixed_work():
    """Work of no package under test: products of matrices, and many small operations, as estimators are made of."""
    A = torch.randn(400, 400, generator=torch.Generator().manual_seed(1)) / 20

    def work():
        x = torch.ones(400, 8)
        for _ in range(100):
            x = torch.tanh(A @ x)
            x = x / x.norm()

    return work


class Product:
    """One series per problem and engine. Lower is better."""

    params = (PRODUCTS,)
    param_names = ("product",)
    version = "1"
    timeout = 300

    def setup(self, product):
        torch.set_num_threads(1)

    def track_gradients_a_product(self, product):
        return product_ratio(product)

    track_gradients_a_product.unit = "gradients"


class Time:
    """One series per cell. Lower is better."""

    params = (CELLS,)
    param_names = ("cell",)
    version = "1"
    timeout = 300

    def setup(self, cell):
        torch.set_num_threads(1)

    def track_yardsticks_a_cell(self, cell):
        return cell_ratio(cell)

    track_yardsticks_a_cell.unit = "yardsticks"
