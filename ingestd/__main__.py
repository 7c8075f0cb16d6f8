"""`python -m ingestd`: the same as the console script."""

from ingestd.cli import main

main()
