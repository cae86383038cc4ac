"""The padding of an embedding is a constant: in products, in references, and by engines of forward mode."""

import numpy as np
import torch
from torch import nn

from hessbench.estimand import TopEigenvalues
from hessbench.operators import to_dense
from hessbench.problems import from_model


def test_matrices_of_an_embedding_with_padding_agree_with_their_references_and_between_engines():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(4, 3, padding_idx=0), nn.Flatten(), nn.Tanh(), nn.Linear(9, 2)).double()
    with torch.no_grad():
        model[0].weight[0] = 0.5  # torch starts it at zero, where tanh is straight
    tokens, labels = torch.tensor([[0, 1, 2], [3, 0, 0], [1, 2, 0]]), torch.tensor([0, 1, 1])
    for operator in ("hessian", "ggn"):
        matrices = {}
        for engine in ("kept-graph", "forward-over-reverse", "reverse-over-forward"):
            problem = from_model(
                model, "cross-entropy", (tokens, labels), operator=operator, dtype=torch.float64, engine=engine
            )
            matrices[engine] = to_dense(problem.build(torch.device("cpu"), torch.float64))
            torch.testing.assert_close(matrices[engine], matrices["kept-graph"], rtol=1e-12, atol=1e-14)
            assert not matrices[engine][:3].any()
        estimand = TopEigenvalues(5)
        reference = problem.references[TopEigenvalues](estimand)
        found = estimand.rank(np.linalg.eigvalsh(matrices["kept-graph"].numpy()))[:5]
        assert np.abs(found - reference.arrays["eigenvalues"]).max() <= reference.bound_in("float64")
    assert model[0].padding_idx == 0
    assert type(model[0]) is nn.Embedding
