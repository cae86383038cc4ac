"""`python -m hessbench`."""

from hessbench.cli import main

main()
