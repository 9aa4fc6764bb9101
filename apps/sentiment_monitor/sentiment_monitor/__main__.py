"""The program: python -m sentiment_monitor."""

from sentiment_monitor.commands import program

if __name__ == "__main__":
    program()
