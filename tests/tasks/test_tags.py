import numpy as np
import pytest

from kbert.tasks.tags import (
    TagProblem,
    detect_scheme,
    entities,
    entities_in_scheme,
    entity_scores,
    split_tag,
    strict_entities,
    tag_labels,
    tags_of,
)


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
    assert entities(tags.split()) == wanted


@pytest.mark.parametrize(
    ("tags", "scheme", "place", "message"),
    [
        ("O I-A", "iob2", 1, "expected B-A before 'I-A' (scheme iob2). Received it without"),
        ("B-A I-B", "iob2", 1, "expected B-B before 'I-B' (scheme iob2). Received it without"),
        ("B-A I-A O", "bioes", 2, "expected E-A at the end of A (scheme bioes). Received 'O'"),
        ("O E-A", "bmes", 1, "expected B-A before 'E-A' (scheme bmes). Received it without"),
        ("I-A S-A", "iob1", 1, "expected tags of the scheme iob1: O, I-… (and B-…). Received 'S-A'"),
    ],
)
def test_tags_that_break_their_scheme(tags, scheme, place, message):
    with pytest.raises(TagProblem) as caught:
        entities_in_scheme(tags.split(), scheme)
    assert (caught.value.place, str(caught.value)) == (place, message)


def test_tags_without_a_scheme_are_taken_as_conlleval_does():
    assert entities("I-A O I-B B-B E-B I-B S-A".split()) == [
        ("A", 0, 1),
        ("B", 2, 3),
        ("B", 3, 5),
        ("B", 5, 6),
        ("A", 6, 7),
    ]
    assert strict_entities("I-A O B-B I-B I-A B-A".split(), "iob2") == [("B", 2, 4), ("A", 5, 6)]
    assert strict_entities("B-A I-A O B-A E-A S-B E-B".split(), "bioes") == [("A", 3, 5), ("B", 5, 6)]


def test_tags_for_entities():
    found = [("A", 0, 3), ("A", 3, 4)]
    assert tags_of(found, 5, "iob2") == "B-A I-A I-A B-A O".split()
    assert tags_of(found, 5, "bioes") == "B-A I-A E-A S-A O".split()
    assert tags_of(found, 5, "io") == "I-A I-A I-A I-A O".split()
    assert tag_labels(["A", "B"], "iob2") == "O B-A I-A B-B I-B".split()
    assert tag_labels(["A"], "bioes") == "O B-A I-A E-A S-A".split()
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
    labels = {"iob2": "O B-A I-A B-B I-B".split(), "bioes": "O B-A I-A E-A S-A B-B I-B E-B S-B".split()}
    peers = {"iob2": schemes.IOB2, "bioes": schemes.IOBES}
    for case in range(1000):
        scheme = ("iob2", "bioes")[case % 2]
        lengths = rng.integers(1, 12, rng.integers(1, 6))
        true, found = ([rng.choice(labels[scheme], n).tolist() for n in lengths] for _ in range(2))
        # Some of the tags are right.
        found = [
            [a if rng.random() < 0.6 else b for a, b in zip(*tags, strict=True)]
            for tags in zip(true, found, strict=True)
        ]
        for mode, read in ((None, entities), ("strict", lambda tags: strict_entities(tags, scheme))):  # noqa: B023
            options = {"mode": mode, "scheme": peers[scheme]} if mode else {}
            overall, per_type = entity_scores([read(t) for t in true], [read(t) for t in found])
            for name, function in (
                ("precision", metrics.precision_score),
                ("recall", metrics.recall_score),
                ("f1", metrics.f1_score),
            ):
                expected = function(true, found, average="micro", zero_division=0, **options)
                assert overall[name] == pytest.approx(expected, abs=1e-9), (true, found, mode)
                each = function(true, found, average=None, zero_division=0, **options)
                assert [per_type[kind][name] for kind in per_type] == pytest.approx(list(each), abs=1e-9)
