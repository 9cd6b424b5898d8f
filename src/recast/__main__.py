"""Lets `python -m recast` do what `recast` does."""

from recast.cli import main

main()
