"""What is claimed of a residual is compared with it, group by group, at a product for two of them."""

import pytest
import torch

from hessbench.counting import CountingOperator
from hessbench.methods.rows.flat_check import check_flat, check_products
from hessbench.operator_structure import Structure
from hessbench.seeding import make_generator


def claims(number, dim=48):
    """That many groups of equal size, all flat."""
    size = dim // number
    return Structure(torch.ones(dim, dtype=torch.bool), tuple((i * size, (i + 1) * size) for i in range(number)))


def blocks(op, number, wrong=None, dim=48):
    """The residual with zero diagonal blocks but for one."""
    size = dim // number
    for piece in op.parts.residual._pieces:
        for i in range(number):
            if i != wrong:
                piece[i * size : (i + 1) * size, i * size : (i + 1) * size] = 0
    return op.parts.residual


@pytest.mark.parametrize("number", [1, 2, 3, 48])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_claim_that_holds_passes_at_a_product_of_a_sample_for_two_groups(dense_hessian, number, dtype):
    op = dense_hessian(curved=(0, 1), dtype=dtype).op
    residual, structure = blocks(op, number), claims(number)
    for seed in range(20):
        check_flat(residual, structure, 6, make_generator(seed))
    counted = CountingOperator(op)
    check_flat(counted.parts.residual, structure, 6, make_generator(0))
    assert counted.matvecs == check_products(structure) == (number + 1) // 2
    assert counted.spending.gradient_equivalents == pytest.approx(2 * counted.matvecs / 6)


@pytest.mark.parametrize("wrong", range(3))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_wrong_claim_is_caught_in_every_group(dense_hessian, wrong, dtype):
    residual = blocks(dense_hessian(curved=(0, 1), dtype=dtype).op, 3, wrong)
    for seed in range(20):
        with pytest.raises(ValueError, match=f"{16 * wrong} to {16 * wrong + 15}"):
            check_flat(residual, claims(3), 6, make_generator(seed))


def test_two_wrong_claims_of_a_pair_do_not_hide_each_other(dense_hessian):
    residual = dense_hessian(curved=(0, 1)).op.parts.residual
    for seed in range(20):
        with pytest.raises(ValueError, match="structure must hold"):
            check_flat(residual, claims(2), 6, make_generator(seed))


def test_a_product_that_is_not_finite_is_refused(dense_hessian):
    residual = dense_hessian().op.parts.residual
    for piece in residual._pieces:
        piece[0, 30] = float("nan")
    with pytest.raises(ValueError, match="is nan"):
        check_flat(residual, claims(2), 6, make_generator(0))


def test_no_group_takes_nothing(dense_hessian):
    counted = CountingOperator(dense_hessian().op)
    check_flat(counted.parts.residual, Structure(torch.zeros(48, dtype=torch.bool), ()), 6, make_generator(0))
    assert counted.matvecs == 0
