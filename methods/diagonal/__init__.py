"""The diagonal, one algorithm a file."""

from hessbench.methods.diagonal.ggn_diagonal import GGN_DIAGONAL_EXACT as GGN_DIAGONAL_EXACT
from hessbench.methods.diagonal.ggn_diagonal import GGN_DIAGONAL_MC as GGN_DIAGONAL_MC
from hessbench.methods.diagonal.ggn_diagonal import ggn_diagonal_exact as ggn_diagonal_exact
from hessbench.methods.diagonal.ggn_diagonal import ggn_diagonal_mc as ggn_diagonal_mc
from hessbench.methods.diagonal.hutchinson_diagonal import HUTCHINSON_DIAGONAL as HUTCHINSON_DIAGONAL
from hessbench.methods.diagonal.hutchinson_diagonal import hutchinson_diagonal as hutchinson_diagonal
