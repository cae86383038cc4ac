"""Rayleigh shares, class means and shares in a span beside dense matrices."""

import pytest
import torch

from hessbench.methods.attribution import cross_class_means, rayleigh_share, share_in_span
from hessbench.operators import dense_operator
from hessbench.seeding import make_generator

LABELS = torch.tensor([0, 1, 1, 2, 0, 1, 2])
N, C, DIM = 7, 3, 11


@pytest.fixture
def factor(ggn):
    return ggn(n=DIM, samples=N, outputs=C).factor


def test_means_are_those_of_the_columns_of_each_class_and_output(factor):
    weights = torch.rand(N, C, generator=make_generator(1), dtype=torch.float64)
    means = cross_class_means(factor, LABELS, weights)
    columns = factor.F.reshape(DIM, N, C) * weights
    for c in range(C):
        for d in range(C):
            expected = columns[:, c == LABELS, d].mean(dim=1)
            torch.testing.assert_close(means.cross[:, c, d], expected)
    torch.testing.assert_close(means.classes[:, 1], means.cross[:, 1, 1])
    assert means.all.shape == (DIM, C * C)


def test_a_class_without_samples_has_zero_means(factor):
    assert not cross_class_means(factor, torch.zeros(N, dtype=torch.int64)).cross[:, 1:].any()


@pytest.mark.parametrize("labels", [LABELS[:-1], LABELS + 1, LABELS.double()])
def test_labels_that_do_not_fit_are_refused(factor, labels):
    with pytest.raises(ValueError, match="labels must be one class"):
        cross_class_means(factor, labels)


def test_weights_of_another_shape_are_refused(factor):
    with pytest.raises(ValueError, match="weights must have the shape"):
        cross_class_means(factor, LABELS, torch.ones(N))


def test_the_rayleigh_share_is_the_ratio_of_the_quadratic_forms():
    G, H = (torch.diag(torch.tensor(it, dtype=torch.float64)) for it in ([4.0, 0.0, 1.0], [5.0, 2.0, -1.0]))
    share = rayleigh_share(dense_operator(G), dense_operator(H), torch.eye(3, dtype=torch.float64))
    assert share.tolist() == pytest.approx([0.8, 0.0, -1.0])


def test_the_share_in_a_span_is_that_of_the_dense_projection():
    columns = torch.randn(20, 4, generator=make_generator(3), dtype=torch.float64)
    dependent = torch.cat([columns, columns @ torch.ones(4, 2, dtype=torch.float64), 1e-8 * columns[:, :1]], dim=1)
    vectors = torch.randn(20, 5, generator=make_generator(4), dtype=torch.float64)
    P = columns @ torch.linalg.pinv(columns)
    expected = (P @ vectors).square().sum(dim=0) / vectors.square().sum(dim=0)
    torch.testing.assert_close(share_in_span(vectors, dependent), expected)
    torch.testing.assert_close(share_in_span(columns, dependent), torch.ones(4, dtype=torch.float64))
    assert not share_in_span(vectors, torch.zeros(20, 2, dtype=torch.float64)).any()
