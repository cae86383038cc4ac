"""A fixed list of cells, run once per commit; every number asv follows is read from the ledger of that run."""

import math
import tempfile

import torch

import hessbench.catalog
import hessbench.ledger.reading
import hessbench.ledger.record
import hessbench.running.plan
import hessbench.running.runner
import hessbench.running.suite

# problem | method | estimand | products. A text names a series for ever: change none, add new ones at the end.
CELLS = [
    "student-t[n=1000,zero_fraction=0.9] | lanczos[reorth=full] | top-eigenvalues[k=10] | 40",
    "student-t[n=1000,zero_fraction=0.9] | sketch | top-eigenvalues[k=10] | 40",
    "student-t[n=1000,zero_fraction=0.9] | hutchinson | trace | 40",
    "student-t[n=1000,zero_fraction=0.9] | hutchpp | trace | 40",
    "student-t[n=1000,zero_fraction=0.9] | slq | density | 80",
    "student-t[n=1000,zero_fraction=0.9] | kpm | density | 80",
    "digits-mlp[step=500] | lanczos[reorth=full] | top-eigenvalues[k=10] | 40",
    "digits-mlp[step=500] | slq | density | 80",
    "digits-mlp[operator=ggn,step=500] | hutchinson-diagonal | diagonal | 40",
    # This ends before its budget, so that a product more shows as a product more; in the others it ends the run.
    "student-t[n=100,zero_fraction=0.9] | lanczos[reorth=full] | top-eigenvalues[k=10] | 400",
    # Large enough for its memory to stand out from the allocator's.
    "student-t[n=100000,zero_fraction=0.9] | lanczos[reorth=full] | top-eigenvalues[k=10] | 40",
    # 167,178 parameters: here the network's own work outweighs everything around it.
    "mlp[operator=ggn,per_class=10,weights=random,widths=512-256] | lanczos[reorth=full] | top-eigenvalues[k=10] | 40",
]


def suite_of(cell):
    """A suite of one cell: timed once, its memory measured once."""
    problem, method, estimand, num_matvecs = cell.split(" | ")
    cross = hessbench.running.suite.Cross(estimand, (problem,), (method,), (int(num_matvecs),))
    return hessbench.running.suite.Suite("asv", 1, (cross,))


def planned_ids(cell, catalog, conditions):
    """Ids of the cell's passes by name; none where this commit does not know what the cell names."""
    try:
        planned = hessbench.running.plan.plan(suite_of(cell), catalog, conditions)
    except ValueError:
        return {}
    return {entry.cell.pass_: entry.cell.id for entry in planned}


def measure(cells, device):
    """Run the cells on a device; terminal rows of the `time` and `memory` pass by cell, of those known here."""
    catalog = hessbench.catalog.load_catalog()
    conditions = hessbench.running.plan.Conditions(device=device)
    ids = {cell: planned_ids(cell, catalog, conditions) for cell in cells}
    crosses = tuple(cross for cell in cells if ids[cell] for cross in suite_of(cell).crosses)
    if not crosses:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        options = hessbench.running.runner.Options(conditions=conditions, prices=False)
        hessbench.running.runner.run(hessbench.running.suite.Suite("asv", 1, crosses), folder, options)
        terminals = hessbench.ledger.reading.Ledger.read(folder).terminals
    return {
        cell: {name: terminals[key] for name, key in passes.items() if key in terminals}
        for cell, passes in ids.items()
        if passes
    }


def number(value):
    """A float asv can store: what is missing or not finite is NaN, for an infinity would hang `asv publish`."""
    found = math.nan if value is None else float(value)
    return found if abs(found) < 1e300 else math.nan


def error_of(row):
    """The error, or the reference's bound where it is below: down there it is rounding, which no commit answers for."""
    if row is None or row.error is None:
        return math.nan
    return number(max(row.error, row.reference_bound or 0.0))


def peak_of(peak):
    """The peak, or 4 MiB where it is below: down there pages and allocators decide, which differ from run to run."""
    return math.nan if peak is None else float(max(peak, 1 << 22))


def failure_of(*rows):
    """Why the passes of a cell did not all end well; empty where they did."""
    for row in rows:
        if row is None:
            return "it left no row"
        if row.status is not hessbench.ledger.record.Status.OK:
            return f"{row.status.value}: {row.reason}"
    return ""


def costs_of(rows, rows_on_device):
    """What asv follows of one cell, from its terminal rows; None of a cell that this commit does not know."""
    if rows is None:
        return None
    timed, memory = rows.get("time"), rows.get("memory")
    on_device = rows_on_device.get("memory")
    if failure := failure_of(timed, memory):
        return {"failed": 1.0, "failure": failure}
    return {
        "failed": 0.0,
        "matvecs": number(timed.matvecs),
        "error": error_of(timed),
        "host_peak_bytes": peak_of(memory.host_peak_bytes),
        "device_peak_bytes": peak_of(on_device and on_device.device_peak_bytes),
    }


def value_of(costs, name):
    """A number of a cell; NaN, which asv passes over, where this commit does not know the cell.

    Raises:
        RuntimeError: If the cell failed. asv calls that a failure, and a failure introduced is worse than any number;
            what a failed run had spent until then would look like an improvement.
    """
    if costs is None:
        return math.nan
    if name != "failed" and costs["failed"]:
        raise RuntimeError(costs["failure"])
    return costs[name]


class Cell:
    """One series per number and cell. Lower is better for each of them."""

    params = (CELLS,)
    param_names = ("cell",)
    # Without a version the text of each function would decide which results may be compared.
    version = "1"
    timeout = 60

    def setup_cache(self):
        rows = measure(CELLS, "cpu")
        on_device = measure(CELLS, "cuda") if torch.cuda.is_available() else {}
        return {cell: costs_of(rows.get(cell), on_device.get(cell, {})) for cell in CELLS}

    setup_cache.timeout = 1800

    def track_matvecs(self, costs, cell):
        return value_of(costs[cell], "matvecs")

    def track_error(self, costs, cell):
        return value_of(costs[cell], "error")

    def track_host_peak_bytes(self, costs, cell):
        return value_of(costs[cell], "host_peak_bytes")

    def track_device_peak_bytes(self, costs, cell):
        return value_of(costs[cell], "device_peak_bytes")

    def track_failed(self, costs, cell):
        return value_of(costs[cell], "failed")

    track_matvecs.unit = "products"
    track_error.unit = "relative error"
    track_host_peak_bytes.unit = "bytes"
    track_device_peak_bytes.unit = "bytes"
    track_failed.unit = "failed"
