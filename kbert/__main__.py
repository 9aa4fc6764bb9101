"""`python -m kbert` is the `kbert` program."""

from kbert.cli.main import main

if __name__ == "__main__":
    main()
