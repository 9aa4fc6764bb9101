import numpy as np
import pytest

from kbert.tasks.readers.tag_schemes import (
    TagProblem,
    detect_scheme,
    entities_in_scheme,
    entity_scores,
    split_tag,
    tag_labels,
)

IOB1 = "; leave out --strict-tags to take it for a beginning"


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        ("I-PER I-PER O I-LOC", "io"),
        ("PER PER O LOC", "io"),
        ("I-PER B-PER O I-LOC", "iob1"),
        ("B-PER I-PER O B-LOC", "iob2"),
        ("B-PER O B-PER B-PER", "iob2"),
        ("B-PER I-PER E-PER S-LOC", "bioes"),
        ("B-PER I-PER L-PER U-LOC", "bioes"),
        ("B-PER M-PER E-PER S-LOC", "bmes"),
        ("B-PER E-PER S-LOC", "bmes"),
        ("O O", "io"),
    ],
)
def test_schemes_are_detected(tags, scheme):
    assert detect_scheme([tags.split()]) == scheme


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        ("O I-A I-A B-A I-B O I-A", "iob1"),
        ("O B-A I-A B-A B-B O B-A", "iob2"),
        ("O B-A E-A S-A S-B O S-A", "bioes"),
        ("O B-A E-A S-A S-B O S-A", "bmes"),
    ],
)
def test_the_same_entities_in_all_schemes(tags, scheme):
    wanted = [("A", 1, 3), ("A", 3, 4), ("B", 4, 5), ("A", 6, 7)]
    assert entities_in_scheme(tags.split(), scheme) == wanted


@pytest.mark.parametrize(
    ("tags", "scheme", "place", "message"),
    [
        (
            "O I-A",
            "iob2",
            1,
            "expected B-A before 'I-A' (scheme iob2). Received it without" + IOB1,
        ),
        (
            "B-A I-B",
            "iob2",
            1,
            "expected B-B before 'I-B' (scheme iob2). Received it without" + IOB1,
        ),
        ("B-A I-A O", "bioes", 2, "expected E-A at the end of A (scheme bioes). Received 'O'"),
        ("O E-A", "bmes", 1, "expected B-A before 'E-A' (scheme bmes). Received it without"),
        ("I-A S-A", "iob1", 1, "expected tags of the scheme iob1: O, I-… (and B-…). Received 'S-A'"),
    ],
)
def test_tags_that_break_their_scheme(tags, scheme, place, message):
    with pytest.raises(TagProblem) as caught:
        entities_in_scheme(tags.split(), scheme)
    assert (caught.value.place, str(caught.value)) == (place, message)


def test_an_i_without_a_b_may_begin_an_entity():
    found = [("A", 0, 1), ("B", 2, 3), ("B", 3, 5), ("A", 5, 6)]
    assert entities_in_scheme("I-A O I-B B-B I-B I-A".split(), "iob1") == found


def test_tags_of_types():
    assert tag_labels(["A", "B"], "iob2") == "O B-A I-A B-B I-B".split()
    assert tag_labels(["A"], "bioes") == "O B-A I-A E-A S-A".split()
    assert tag_labels(["A"], "io") == "O I-A".split()
    assert split_tag("B-my-type") == ("B", "my-type")


def test_scores_by_hand():
    true = [{("A", 0, 1), ("B", 2, 3)}, {("A", 0, 2)}]
    found = [{("A", 0, 1), ("A", 2, 3)}, {("A", 0, 2), ("C", 5, 6)}]
    overall, per_type = entity_scores(true, found)
    assert overall == pytest.approx({"precision": 0.5, "recall": 2 / 3, "f1": 4 / 7, "macro_f1": 0.8 / 3})
    assert per_type["A"] == pytest.approx({"precision": 2 / 3, "recall": 1.0, "f1": 0.8, "support": 2})
    assert per_type["C"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}
    assert entity_scores([set()], [set()]) == ({"precision": 0, "recall": 0, "f1": 0, "macro_f1": 0}, {})


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
def test_scores_equal_those_of_seqeval():
    metrics = pytest.importorskip("seqeval.metrics")
    schemes = pytest.importorskip("seqeval.scheme")
    rng = np.random.default_rng(0)
    # Of sentences in a scheme seqeval's two modes find the same; of any tags its default is what "iob1" reads.
    cases = (("iob2", schemes.IOB2), ("bioes", schemes.IOBES), ("iob1", None))
    for case in range(1000):
        scheme, peer = cases[case % 3]
        options = {"mode": "strict", "scheme": peer} if peer else {}
        lengths = rng.integers(1, 6, rng.integers(1, 6))
        true, found = ([_random_tags(rng, scheme, n) for n in lengths] for _ in range(2))
        # Some of the tags are right.
        found = [a if rng.random() < 0.6 else b for a, b in zip(true, found, strict=True)]
        read = lambda sentences: [entities_in_scheme(tags, scheme) for tags in sentences]  # noqa: B023, E731
        overall, per_type = entity_scores(read(true), read(found))
        for name, function in (
            ("precision", metrics.precision_score),
            ("recall", metrics.recall_score),
            ("f1", metrics.f1_score),
        ):
            expected = function(true, found, average="micro", zero_division=0, **options)
            assert overall[name] == pytest.approx(expected, abs=1e-9), (true, found, scheme)
            each = function(true, found, average=None, zero_division=0, **options)
            assert [per_type[kind][name] for kind in per_type] == pytest.approx(list(each), abs=1e-9)


def _random_tags(rng, scheme, parts):
    """Tags of a sentence with so many words outside and entities; of "iob1" any tags."""
    if scheme == "iob1":
        return rng.choice("O B-A I-A B-B I-B".split(), 2 * parts).tolist()
    tags = []
    for _ in range(parts):
        kind, length = rng.choice(["O", "A", "B"]), int(rng.integers(1, 4))
        last = "I" if scheme == "iob2" else "E"
        letters = "B" + "I" * (length - 2) + last * (length > 1)
        if scheme == "bioes" and length == 1:
            letters = "S"
        tags += ["O"] if kind == "O" else [f"{letter}-{kind}" for letter in letters]
    return tags + ["O"] * (3 * parts - len(tags))  # all of a length


@pytest.mark.parametrize(
    ("tags", "scheme", "entities", "repaired"),
    [
        ("O I-A I-A O", "iob2", [("A", 1, 3)], [1]),
        ("B-A I-B I-B", "iob2", [("A", 0, 1), ("B", 1, 3)], [1]),
        ("B-A I-A O", "bioes", [("A", 0, 2)], [2]),
        ("O E-A S-A", "bioes", [("A", 1, 2), ("A", 2, 3)], [1]),
        ("I-A E-A B-B", "bmes", [("A", 0, 2), ("B", 2, 3)], [0, 3]),
    ],
)
def test_tags_that_break_their_scheme_are_read_as_conlleval_reads_them(tags, scheme, entities, repaired):
    places = []
    assert entities_in_scheme(tags.split(), scheme, places) == entities
    assert places == repaired
