"""`python -m minidrop` is the command line."""

from minidrop.cli import main

if __name__ == "__main__":
    main()
