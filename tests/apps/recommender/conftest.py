"""Fixtures for the recommender: films of two kinds, users who like one kind each, and a tiny text model."""

import csv
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).parents[3]
if importlib.util.find_spec("apps") is None:
    # At the end, so that an installed kbert is tested where there is one.
    sys.path.append(str(REPOSITORY))


@pytest.fixture(scope="session")
def tables(tmp_path_factory):
    """The paths of the items and the ratings: 40 films about cats, 40 about dogs, 40 users for each kind."""
    folder = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(0)
    kinds = ["cat", "dog"]
    with open(folder / "items.csv", "w", newline="") as file:
        rows = [
            (
                f"{kind}{number}",
                f"{kind.title()} {number}, The (19{number + 10})",
                f"{kind}|slow" if number % 2 else kind,
            )
            for kind in kinds
            for number in range(40)
        ]
        csv.writer(file).writerows([("movieId", "title", "genres"), *rows])
    with open(folder / "ratings.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("userId", "movieId", "rating", "timestamp"))
        for user in range(80):
            liked = kinds[user % 2]
            for time, number in enumerate(rng.choice(40, 16, replace=False)):
                writer.writerow((user, f"{liked}{number}", 5 if time % 8 else 4, 1000 * user + time))
            for time, number in enumerate(rng.choice(40, 4, replace=False)):
                writer.writerow((user, f"{kinds[1 - user % 2]}{number}", 2, 1000 * user + 4 * time))
    return folder / "items.csv", folder / "ratings.csv"


@pytest.fixture(scope="session")
def data_path(tables, tmp_path_factory):
    """A folder that `prepare` wrote."""
    from apps.recommender.data.folder import prepare_folder

    path = tmp_path_factory.mktemp("data") / "films"
    prepare_folder(*tables, path, like_from=4.0, pairs=200)
    return path


@pytest.fixture
def data(data_path):
    from apps.recommender.data.folder import DataFolder

    return DataFolder(data_path)


@pytest.fixture
def kind_vectors(data):
    """Vectors that tell cats from dogs, and little else."""
    rng = np.random.default_rng(0)
    axis = np.array([[1.0, 0.0] if item.id.startswith("cat") else [0.0, 1.0] for item in data.items])
    return np.concatenate([axis, 0.1 * rng.normal(size=(len(axis), 6))], 1).astype(np.float32)
