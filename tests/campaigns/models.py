"""Count what `from_model` refuses of trained classifiers and of bad models; never installed, run by hand.

python tests/campaigns/models.py [--slices 20] [--seed 0] [--keep FILE]

Networks are trained on the digits, in float64, to losses from 1e-2 to 1e-8. Every operator is asked for on random
slices and orders of the samples, and on all of them, whose operator is then held to what a run holds it to, in both
dtypes; the eigenvalues of the smallest network are held against the bound of their reference. Then the table of
`tests/problems/user_model/test_bad_models.py`.
"""

import argparse
import importlib.util
import itertools
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

from hessbench.estimand import TopEigenvalues
from hessbench.operators import check_operator, to_dense
from hessbench.problems import from_model
from hessbench.problems.curvature.matrices import OPERATORS
from hessbench.seeding import make_generator

CPU = torch.device("cpu")
LEVELS = (1e-2, 1e-4, 1e-6, 1e-8)
DTYPES = (torch.float32, torch.float64)
SAMPLES, STEPS = 300, 20_000


def own(outputs, targets):
    """Cross-entropy as a function of one's own."""
    return functional.nll_loss(outputs.log_softmax(dim=1), targets)


def binary(outputs, targets):
    """Each class against the others."""
    wanted = functional.one_hot(targets.long(), outputs.shape[1]).to(outputs)
    return functional.binary_cross_entropy_with_logits(outputs, wanted, reduction="sum") / outputs.shape[0]


USER_LOSSES = {"cross-entropy": "cross-entropy", "own cross-entropy": own, "binary": binary}
CLOSED = ("monte-carlo-fisher", "gram")


def mlp(*widths, activation=nn.ReLU):
    layers = [part for a, b in itertools.pairwise(widths) for part in (nn.Linear(a, b), activation())]
    return nn.Sequential(*layers[:-1])


def convolutional():
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.AvgPool2d(2), nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip


NETWORKS = {
    "64-32-32-10 relu": lambda: mlp(64, 32, 32, 10),
    "64-16-16-10 tanh": lambda: mlp(64, 16, 16, 10, activation=nn.Tanh),
    "64-12-10 gelu": lambda: mlp(64, 12, 10, activation=nn.GELU),
    "convolutional": convolutional,
}


def digits():
    images, labels = load_digits(return_X_y=True)
    return torch.as_tensor(images[:SAMPLES] / 16).float(), torch.as_tensor(labels[:SAMPLES])


def trained(make, inputs, labels, seed):
    """The network at the first step below each level, rounded to float32."""
    torch.manual_seed(seed)
    model = make().double()
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-2)
    levels, found = list(LEVELS), {}
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss = functional.cross_entropy(model(inputs.double()), labels)
        while levels and float(loss.detach()) < levels[0]:
            found[levels.pop(0)] = {name: value.detach().float() for name, value in model.state_dict().items()}
            for group in optimiser.param_groups:
                group["lr"] *= 2  # the last decades take longest, and are only scaled up
        if not levels:
            break
        loss.backward()
        optimiser.step()
    return found


def kept(file, seed):
    """Networks by name and level, trained once and kept in a file where one is named."""
    if file and Path(file).is_file():
        return torch.load(file)
    inputs, labels = digits()
    states = {name: trained(make, inputs, labels, seed) for name, make in NETWORKS.items()}
    if file:
        torch.save(states, file)
    return states


def with_state(make, state):
    model = make()
    model.load_state_dict(state)
    return model.eval()


def attempt(counts, kind, what):
    """Do something that a good network never refuses."""
    counts[kind, "tried"] += 1
    try:
        return what()
    except ValueError as refused:
        counts[kind, "refused"] += 1
        counts["why", str(refused).split(":")[0][:60]] += 1
        return None


def good(slices, seed, file):
    inputs, labels = digits()
    generator = torch.Generator().manual_seed(seed)
    begin = time.perf_counter()
    every, states = Counter(), kept(file, seed)
    print(f"{len(states)} networks trained in {time.perf_counter() - begin:.0f} s", flush=True)
    for name, make in NETWORKS.items():
        for level, state in states[name].items():
            counts, model = Counter(), with_state(make, state)
            for called, loss in USER_LOSSES.items():
                for operator in OPERATORS:
                    if loss != "cross-entropy" and operator in CLOSED:
                        continue
                    for _ in range(slices):
                        size = int(torch.randint(2, 200, (), generator=generator))
                        places = torch.randperm(SAMPLES, generator=generator)[:size]
                        pair = (inputs[places], labels[places])
                        attempt(counts, f"slice, {called}", lambda: from_model(model, loss, pair, operator=operator))  # noqa: B023
                    problem = attempt(
                        counts,
                        f"all, {called}",
                        lambda: from_model(model, loss, (inputs, labels), operator=operator),  # noqa: B023
                    )
                    for dtype in DTYPES if problem else ():
                        attempt(counts, f"run in {str(dtype)[6:]}",
                                lambda: check_operator(problem.build(CPU, dtype), make_generator(seed)))  # noqa: B023  # fmt: skip
                    if name == "64-12-10 gelu":
                        bounds(counts, model, loss, (inputs[:100], labels[:100]), operator)
            totals = {word: sum(n for (_, what), n in counts.items() if what == word) for word in ("refused", "tried")}
            print(f"{name}, loss {level:g}: {totals['refused']} refused of {totals['tried']}", flush=True)
            every += counts
    show(every)


def bounds(counts, model, loss, pair, operator):
    """Hold the first ten eigenvalues of the operator against the bound of their reference."""
    try:
        problem = from_model(model, loss, pair, operator=operator)
        reference = problem.references[TopEigenvalues](TopEigenvalues(10))
        exact = from_model(model, "cross-entropy" if loss is own else loss, pair, operator=operator)
        truth = np.sort(np.abs(np.linalg.eigvalsh(to_dense(exact.build(CPU, torch.float64)).numpy())))[::-1][:10]
    except ValueError:
        counts["bound", "refused"] += 1
        return
    for dtype in DTYPES:
        found = np.linalg.eigvalsh(to_dense(problem.build(CPU, dtype)).double().numpy())
        gap = np.abs(np.sort(np.abs(found))[::-1][:10] - truth).max()
        counts[f"bound in {str(dtype)[6:]}", "tried"] += 1
        counts[f"bound in {str(dtype)[6:]}", "broken"] += bool(gap > reference.bound_in(str(dtype)[6:]))
    counts["note", "float32 cannot see"] += "float32 cannot see" in reference.note


def show(counts):
    for (kind, what), number in sorted(counts.items()):
        if kind != "why" and what == "tried":
            off = " ".join(f"{counts[kind, word]} {word}" for word in ("refused", "broken") if (kind, word) in counts)
            print(f"    {kind:28s} {number:5d} tried, {off or '0 off'}")
    for (kind, what), number in counts.items():
        if kind in ("why", "note"):
            print(f"    {number:5d} {kind}: {what}")


def bad():
    """How many of the table of bad models and losses are refused, and as they should be."""
    path = Path(__file__).parents[1] / "problems" / "test_bad_models.py"
    spec = importlib.util.spec_from_file_location("bad_models", path)
    table = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(table)
    asked = [
        *((case, table.refusal(make, table.INPUTS), says) for case, (make, says) in table.BAD.items()),
        *((case, table.refusal(make, table.SEQUENCES), says) for case, (make, says) in table.SEQUENTIAL.items()),
    ]
    for case, (loss, says) in table.LOSSES.items():
        try:
            from_model(table.Applied().eval(), loss, (table.INPUTS, table.LABELS))
            asked.append((case, "accepted", says))
        except ValueError as refused:
            asked.append((case, str(refused), says))
    accepted = [case for case, said, _ in asked if said == "accepted"]
    other = [case for case, said, says in asked if said != "accepted" and says not in said]
    print(f"bad models and losses: {len(asked)} tried, {len(accepted)} accepted {accepted}, {len(other)} refused with "
          f"another sentence {other}")  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", help="file the trained networks are kept in")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    bad()
    good(asked.slices, asked.seed, asked.keep)
