import random

import pytest

from kbert.corpus.pairs import Pair, PairSettings, make_pairs

A = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]
B = [[21, 22, 23, 24]]


def settings(room, short=0.0, random_=0.5):
    return PairSettings(room + 3, short_probability=short, random_probability=random_)


def make(documents, settings_, seed=0):
    return list(make_pairs(documents, random.Random(seed), settings_))


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
