"""`python -m tools.loadgen`: the same as the console script."""

from tools.loadgen.cli import main

main()
