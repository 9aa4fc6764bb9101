"""The program: python -m apps.recommender."""

from apps.recommender.commands import program

if __name__ == "__main__":
    program()
