"""Runs the `kbert` program as `python -m kbert`."""

from kbert.cli.main import program

if __name__ == "__main__":
    program()
