"""The program: python -m recommender."""

from recommender.commands import program

if __name__ == "__main__":
    program()
