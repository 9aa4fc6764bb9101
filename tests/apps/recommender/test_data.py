import csv

import pytest

from apps.recommender.data.folder import DataFolder, prepare_folder
from apps.recommender.data.pairs import draw_pairs, validation_histories
from apps.recommender.data.split import User, split_ratings
from apps.recommender.data.tables import Item, Rating, read_items, read_ratings
from apps.recommender.errors import RecommenderError


def test_texts_of_items():
    assert Item("1", "Matrix, The (1999)", ("Action", "Sci-Fi")).text == "The Matrix (1999). Action, Sci-Fi"
    assert Item("2", "Misérables, Les (1995)").text == "Les Misérables (1995)"
    assert Item("3", "Good, the Bad and the Ugly, The (1966)").text == "The Good, the Bad and the Ugly (1966)"
    assert Item("4", "Up").text == "Up"


def test_columns_are_found_by_their_names(tmp_path):
    items, ratings = tmp_path / "items.csv", tmp_path / "ratings.csv"
    items.write_text("Id,title,genres\n1,A,Drama|War\n2,B,(no genres listed)\n")
    ratings.write_text("user_id,item,stars,time\nu,2,4.5,20\nu,1,3,10\n")
    assert read_items(items) == [Item("1", "A", ("Drama", "War")), Item("2", "B")]
    assert read_ratings(ratings) == [Rating("u", "1", 3.0, 10.0), Rating("u", "2", 4.5, 20.0)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,genres\nA,B\n", r"items.csv: expected a column item or .* or id\. Received: name, genres"),
        ("id,title\n1,A,B\n", r"items.csv:2: expected 2 cells\. Received: 3"),
        ("id,title\n1,A\n1,B\n", r"items.csv:3: expected each item once\. Received: the item 1 again"),
        ("id,title\n1,\n", r"items.csv:2: expected an id and a title\. Received: '1,'"),
        ("id,title\n", r"items.csv: expected a header and rows\. Received: no rows"),
    ],
)
def test_bad_tables_of_items(tmp_path, text, message):
    (tmp_path / "items.csv").write_text(text)
    with pytest.raises(RecommenderError, match=message):
        read_items(tmp_path / "items.csv")


def test_bad_ratings(tmp_path):
    (tmp_path / "ratings.csv").write_text("user,item,rating,time\na,b,good,1\n")
    with pytest.raises(
        RecommenderError, match=r"ratings.csv:2: expected numbers as rating and time\. Received: 'good'"
    ):
        read_ratings(tmp_path / "ratings.csv")


def test_nothing_of_the_future_is_known(tables, data):
    """Of each user, what is learnt came before what is predicted, and what is predicted was not seen."""
    when = {(rating.user, rating.item): rating.time for rating in read_ratings(tables[1])}
    for user in data.split.users:
        times = [when[user.id, item] for item in user.train + user.validation + user.test]
        assert times == sorted(times)
        assert not user.seen & set(user.test)
        assert all(when[user.id, item] < when[user.id, user.test[0]] for item in user.seen)
        assert not user.seen_before_validation & set(user.validation)
        if not user.is_new:
            assert len(user.test) == 3
            assert not data.split.new_items & set(user.train + user.validation)


def test_new_users_and_new_items(data):
    new = [user for user in data.split.users if user.is_new]
    assert (len(new), len(data.split.new_items)) == (8, 8)
    assert all(len(user.train) == 2 and not user.validation for user in new)


def test_users_with_few_likes_are_only_learnt_from():
    ratings = [Rating("a", "x", 5, 1), Rating("a", "y", 1, 2), *(Rating("b", str(n), 5, n) for n in range(10))]
    split = split_ratings(ratings, ["x", "y", *map(str, range(10))], like_from=4, seed=1)
    few = next(user for user in split.users if user.id == "a")
    assert (few.test, few.validation) == ([], [])
    assert set(few.train) <= {"x"}


def test_pairs_are_of_items_that_one_user_liked(data_path):
    with open(data_path / "pairs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 200
    assert all(row["text"] != row["pair"] for row in rows)
    assert all(row["text"].split()[1] == row["pair"].split()[1] for row in rows)  # The Cat …, The Dog …


def test_pairs_prefer_rare_items():
    histories = [["popular", f"rare{user}"] for user in range(100)]
    items = {name: Item(name, name) for history in histories for name in history}
    firsts = [pair[0] for pair in draw_pairs(histories, items, 1000)]
    assert 0.05 < firsts.count("popular") / 1000 < 0.15
    assert draw_pairs([["a"], []], {"a": Item("a", "a")}, 5) == []


def test_pairs_of_users_with_one_like_for_validation():
    users = [
        User("a", ["x", "y"], ["z"]),
        User("b", ["x"], ["y", "z"]),
        User("c", ["x", "y"]),
        User("new", ["x", "y"], is_new=True),
    ]
    assert validation_histories(users) == [["y", "z"], ["y", "z"]]


def test_folders_that_cannot_be_prepared_or_read(tables, data_path, tmp_path):
    with pytest.raises(RecommenderError, match="expected a new folder for --output"):
        prepare_folder(*tables, data_path, like_from=4.0, pairs=10)
    with pytest.raises(RecommenderError, match="expected users with at least 5 ratings of 9 or more"):
        prepare_folder(*tables, tmp_path / "new", like_from=9.0, pairs=10)
    with pytest.raises(RecommenderError, match="expected a folder that the command prepare wrote"):
        DataFolder(tmp_path)


def test_titles(data):
    assert data.item_of_title("CAT 7, the (1917)").id == "cat7"
    assert data.item_of_title("dog 12").id == "dog12"
    with pytest.raises(RecommenderError, match="which is in: Cat 1, The"):
        data.item_of_title("cat 1")
    with pytest.raises(RecommenderError, match="which is in: no item"):
        data.item_of_title("bird")
    with pytest.raises(RecommenderError, match="expected a user of"):
        data.user("nobody")
