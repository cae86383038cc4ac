"""The trace, one algorithm a file."""

from hessbench.methods.trace.hutchinson import HUTCHINSON as HUTCHINSON
from hessbench.methods.trace.hutchinson import hutchinson as hutchinson
from hessbench.methods.trace.hutchpp import HUTCHPP as HUTCHPP
from hessbench.methods.trace.hutchpp import hutchpp as hutchpp
