"""The program: python -m apps.sentiment_monitor."""

from apps.sentiment_monitor.commands import program

if __name__ == "__main__":
    program()
