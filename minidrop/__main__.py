"""`python -m minidrop` is the command line."""

from minidrop.cli import main

main()
