"""`python -m kbert` is the `kbert` program."""

from kbert.cli.main import program

if __name__ == "__main__":
    program()
