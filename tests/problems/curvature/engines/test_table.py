"""What the table says of its engines; what they multiply with is held in `curvature/test_products.py`."""

import pytest

from hessbench.problems.curvature.engines.table import ENGINES, engine_names


def test_an_engine_without_hessian_products_says_so():
    assert "jvp-by-double-vjp" in engine_names("ggn")
    assert "jvp-by-double-vjp" not in engine_names("hessian")
    with pytest.raises(ValueError, match="makes products with the GGN only, not with the hessian"):
        ENGINES["jvp-by-double-vjp"].of("hessian")


def test_other_matrices_have_no_choice():
    for operator in ("ntk", "gradient-second-moment", "gradient-covariance", "gram"):
        assert engine_names(operator) == ("auto",)
