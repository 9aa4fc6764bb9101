import itertools
import random
from typing import NamedTuple

import numpy as np
import pytest

from kbert.corpus.pairs import PairSettings, make_pairs
from kbert.errors import UsageError


class Pair(NamedTuple):
    """An example with its tokens."""

    first: list
    second: list
    is_random: bool


A = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]
B = [[21, 22, 23, 24]]


def settings(room, short=0.0, random_=0.5, objective="nsp"):
    special = 2 if objective == "none" else 3
    return PairSettings(room + special, short_probability=short, random_probability=random_, objective=objective)


def make(documents, settings_, seed=0, **options):
    """The pairs with the tokens that their places stand for."""
    segments = [segment for document in documents for segment in document]
    tokens = list(itertools.chain(*segments))
    segment_ends = list(itertools.accumulate(map(len, segments)))
    document_ends = list(itertools.accumulate(map(len, documents)))
    pairs = make_pairs(segment_ends, document_ends, random.Random(seed), settings_, **options)
    assert pairs.places.dtype == pairs.labels.dtype == np.int64
    assert pairs.places.shape == (len(pairs), 4)
    return [
        Pair(tokens[a:b], tokens[c:d], bool(label))
        for (a, b, c, d), label in zip(pairs.places.tolist(), pairs.labels.tolist(), strict=True)
    ]


def many_documents(rng, count=30, segments=12, longest=6):
    """Tokens that say where they stand: document * 1000 + place."""
    documents = []
    for number in range(count):
        place, document = number * 1000, []
        for _ in range(rng.randint(1, segments)):
            size = rng.randint(1, longest)
            document.append(list(range(place, place + size)))
            place += size
        documents.append(document)
    return documents


@pytest.mark.parametrize("seed", range(5))
def test_actual_next(seed):
    pairs = make([A, B], settings(room=8, random_=0.0), seed)
    assert pairs[0] == Pair(A[0], A[1], False)
    # A segment alone is cut in two.
    assert [(pair.first + pair.second, pair.is_random) for pair in pairs[1:]] == [(A[2], False), (B[0], False)]
    assert all(pair.first and pair.second for pair in pairs)


@pytest.mark.parametrize("seed", range(5))
def test_random_next_puts_back_what_it_displaced(seed):
    pairs = make([A, B], settings(room=8, random_=1.0), seed)
    assert pairs[:3] == [Pair(segment, B[0], True) for segment in A]
    (last,) = pairs[3:]
    assert last.first == B[0]
    assert last.second in A
    assert last.is_random


def test_random_text_goes_on_until_the_target():
    long = [[30, 31], [32, 33], [34, 35], [36, 37]]
    seconds = {tuple(make([B, long], settings(room=8, random_=1.0), seed)[0].second) for seed in range(50)}
    assert seconds == {(30, 31, 32, 33), (32, 33, 34, 35), (34, 35, 36, 37), (36, 37)}


@pytest.mark.parametrize("short", [0.0, 1.0])
def test_where_texts_come_from(short):
    room = 20
    documents = many_documents(random.Random(1))
    pairs = make(documents, settings(room, short))
    assert len(pairs) > 60
    for pair in pairs:
        assert pair.first
        assert pair.second
        assert len(pair.first) + len(pair.second) <= room
        for text in (pair.first, pair.second):
            assert text == list(range(text[0], text[0] + len(text)))
        same = pair.first[0] // 1000 == pair.second[0] // 1000
        assert same != pair.is_random
        if not pair.is_random:
            assert pair.second[0] > pair.first[-1]
            if len(pair.first) + len(pair.second) < room:
                assert pair.second[0] == pair.first[-1] + 1


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("short", "random_"), [(0.0, 0.5), (1.0, 0.5), (0.0, 1.0), (0.0, 0.0)])
def test_every_segment_is_used(seed, short, random_):
    """Segments of four tokens and room for a multiple of them: nothing needs cutting."""
    rng = random.Random(seed)
    documents = [
        [list(range(d * 1000 + 4 * s, d * 1000 + 4 * s + 4)) for s in range(rng.randint(1, 20))] for d in range(5)
    ]
    used = set()
    for pair in make(documents, settings(16, short, random_), seed):
        used |= set(pair.first)
        if not pair.is_random:
            used |= set(pair.second)
    assert used == {token for document in documents for segment in document for token in segment}


def test_empty_documents_do_not_count():
    assert make([[], A, [], B], settings(8), 3) == make([A, B], settings(8), 3)


def test_short_targets():
    """With segments of one token, a pair is exactly as long as its target."""
    documents = [[[d * 1000 + i] for i in range(200)] for d in range(2)] * 40
    full = {len(pair.first) + len(pair.second) for pair in make(documents[:2], settings(10, random_=0.0))}
    assert full == {10}
    lengths = {len(pair.first) + len(pair.second) for pair in make(documents, settings(10, 1.0, 0.0))}
    assert lengths == set(range(2, 11))


def test_the_longer_text_is_cut_at_both_ends():
    long, short = [list(range(30))], [list(range(100, 104))]
    firsts = set()
    for seed in range(200):
        pair = make([long, short], settings(room=12, random_=1.0), seed)[0]
        assert pair.second == short[0]
        assert pair.first == list(range(pair.first[0], pair.first[0] + 8))
        firsts.add(pair.first[0])
    # 22 tokens go, each from the front with probability 1/2: 11 +- 2.3.
    assert min(firsts) < 9
    assert max(firsts) > 13
    assert all(0 < first < 22 for first in firsts)


def test_half_of_the_pairs_are_random():
    documents = many_documents(random.Random(2), count=300)
    labels = [pair.is_random for seed in range(5) for pair in make(documents, settings(12), seed)]
    assert len(labels) > 4000
    assert 0.48 < sum(labels) / len(labels) < 0.52


def test_depends_on_the_rng_alone():
    documents = many_documents(random.Random(3))
    assert make(documents, settings(12), 1) == make(documents, settings(12), 1)
    assert make(documents, settings(12), 1) != make(documents, settings(12), 2)


def test_passes_are_other_pairs():
    documents = many_documents(random.Random(4))
    once, twice = make(documents, settings(12)), make(documents, settings(12), passes=2)
    assert twice[: len(once)] == once
    assert len(once) * 0.8 < len(twice) - len(once) < len(once) * 1.2
    assert twice[len(once) :] != once


def test_shuffled():
    documents = many_documents(random.Random(5))
    segments = [segment for document in documents for segment in document]
    ends = list(itertools.accumulate(map(len, segments)))
    pairs = make_pairs(ends, list(itertools.accumulate(map(len, documents))), random.Random(0), settings(12))
    rows = [(*place, label) for place, label in zip(pairs.places.tolist(), pairs.labels.tolist(), strict=True)]
    shuffled = pairs.shuffled(random.Random(1))
    again = [(*place, label) for place, label in zip(shuffled.places.tolist(), shuffled.labels.tolist(), strict=True)]
    assert again != rows
    assert sorted(map(str, again)) == sorted(map(str, rows))


@pytest.mark.parametrize("seed", range(5))
def test_sentence_order(seed):
    """Texts that follow each other, half of them swapped: one document is enough."""
    documents = [[list(range(5 * n, 5 * n + 1 + n % 5)) for n in range(300)], [[7000, 7001]]]
    pairs = make(documents, settings(12, objective="sop"), seed)
    for pair in pairs:
        texts = (pair.second, pair.first) if pair.is_random else (pair.first, pair.second)
        assert texts[0][-1] < texts[1][0]
        if len(texts[0]) + len(texts[1]) < 12:
            assert texts[1][0] - texts[0][-1] <= 5
    assert len(pairs) > 60
    assert 0 < sum(pair.is_random for pair in pairs) < len(pairs)
    assert len(make(documents[1:], settings(12, objective="sop"))) == 1
    used = sorted(
        token for pair in make(documents, settings(10**6, objective="sop")) for text in pair[:2] for token in text
    )
    assert used == [token for document in documents for segment in document for token in segment]


@pytest.mark.parametrize("short", [0.0, 1.0])
def test_no_objective_is_full_sentences(short):
    """Each segment comes once, in order, whole; a text ends where the next segment would not fit."""
    documents = many_documents(random.Random(6), longest=12)
    pairs = make(documents, settings(12, short, objective="none"))
    assert [token for pair in pairs for token in pair.first] == [t for d in documents for s in d for t in s]
    assert not any(pair.second or pair.is_random for pair in pairs)
    starts = {segment[0]: segment for document in documents for segment in document}
    for pair, following in itertools.pairwise(pairs):
        assert pair.first[0] in starts
        assert len(pair.first) <= 12
        if not short and pair.first[0] // 1000 == following.first[0] // 1000:
            assert len(pair.first) + len(starts[following.first[0]]) > 12
    if short:
        assert len(pairs) > len(make(documents, settings(12, objective="none")))


def test_random_texts_need_another_document():
    assert make([A], settings(8)) == []
    assert len(make([A], settings(8, objective="none"))) == 2


@pytest.mark.parametrize(
    "options", [{"objective": "mlm"}, {"short_probability": 1.5}, {"short_probability": float("nan")}]
)
def test_settings_that_cannot_be(options):
    with pytest.raises(UsageError, match=r"(objective|short_probability) must be .*Received: "):
        PairSettings(**options)
