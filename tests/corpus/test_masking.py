import numpy as np
import pytest

from kbert.corpus.masking import Masker, MaskingSettings
from kbert.errors import UsageError
from kbert.text.vocabulary import SPECIAL_TOKENS, Vocabulary


class Fate(np.random.Generator):
    """Real keys for choosing, but the same fate for all chosen tokens, and 17 for a random id."""

    def __init__(self, fate):
        super().__init__(np.random.PCG64(0))
        self.fate = fate

    def random(self, size, dtype):
        return np.full(size, self.fate, dtype) if isinstance(size, int) else super().random(size, dtype)

    def integers(self, low, high, size, dtype):
        assert (low, high) == (0, 23)
        return np.full(size, 17, dtype)


IDS = np.array([[2, 5, 7, 9, 3, 6, 8, 3, 0, 0], [2, 1, 3, 14, 7, 15, 10, 6, 11, 3]], np.int32)


@pytest.mark.parametrize(
    ("fate", "masked"),
    [
        (0.0, [[2, 4, 4, 4, 3, 4, 4, 3, 0, 0], [2, 4, 3, 4, 4, 4, 4, 4, 4, 3]]),
        (0.79, [[2, 4, 4, 4, 3, 4, 4, 3, 0, 0], [2, 4, 3, 4, 4, 4, 4, 4, 4, 3]]),
        (0.81, [[2, 17, 17, 17, 3, 17, 17, 3, 0, 0], [2, 17, 3, 17, 17, 17, 17, 17, 17, 3]]),
        (0.89, [[2, 17, 17, 17, 3, 17, 17, 3, 0, 0], [2, 17, 3, 17, 17, 17, 17, 17, 17, 3]]),
        (0.91, IDS.tolist()),
    ],
)
@pytest.mark.parametrize("whole_words", [False, True])
def test_masks_everything(vocabulary, fate, masked, whole_words):
    masker = Masker(vocabulary, MaskingSettings(0.99, 8, whole_words))
    before = IDS.copy()
    batch = masker(IDS, Fate(fate))
    np.testing.assert_array_equal(IDS, before)
    assert batch.input_word_ids.tolist() == masked
    assert batch.masked_lm_positions.tolist() == [[1, 2, 3, 5, 6, 0, 0, 0], [1, 3, 4, 5, 6, 7, 8, 0]]
    assert batch.masked_lm_ids.tolist() == [[5, 7, 9, 6, 8, 0, 0, 0], [1, 14, 7, 15, 10, 6, 11, 0]]
    assert batch.masked_lm_weights.tolist() == [[1] * 5 + [0] * 3, [1] * 7 + [0]]
    assert [array.dtype.name for array in vars(batch).values()] == ["int32", "int32", "int32", "float32"]


@pytest.mark.parametrize("whole_words", [False, True])
def test_how_many(vocabulary, whole_words):
    """15 % of the tokens, special ones included; at least one, at most the places, never a special one.

    The part of a token is rounded up or down at random, so that the mean is right.
    """
    lengths = [3, 4, 10, 20, 30, 128, 0]
    ids = np.zeros((len(lengths), 128), np.int32)
    for row, length in enumerate(lengths):
        ids[row, :length] = ([2] + [7] * (length - 3) + [3, 3])[:length]
    masker = Masker(vocabulary, MaskingSettings(0.15, 10, whole_words))
    batch = masker(ids, np.random.default_rng(0))
    counts = np.array(
        [masker(ids, np.random.default_rng(seed)).masked_lm_weights.sum(1).tolist() for seed in range(400)]
    )
    assert counts.min(0).tolist() == [0, 1, 1, 3, 4, 10, 0]
    assert counts.max(0).tolist() == [0, 1, 2, 3, 5, 10, 0]
    assert counts.mean(0) == pytest.approx([0, 1, 1.5, 3, 4.5, 10, 0], abs=0.1)
    for positions, weights in zip(batch.masked_lm_positions, batch.masked_lm_weights, strict=True):
        used = positions[weights > 0]
        assert used.tolist() == sorted(set(used.tolist()))
        assert not positions[weights == 0].any()


def test_whole_words(vocabulary):
    """un ##aff ##able cat ##s with four places: whichever word comes first leaves no room for the other."""
    ids = np.array([[2, 17, 18, 19, 7, 15, 3]] * 200, np.int32)
    batch = Masker(vocabulary, MaskingSettings(0.5, 4, whole_words=True))(ids, np.random.default_rng(0))
    counts = batch.masked_lm_weights.sum(1).astype(int)
    chosen = {tuple(row[:count].tolist()) for row, count in zip(batch.masked_lm_positions, counts, strict=True)}
    assert chosen == {(1, 2, 3), (4, 5)}


def test_a_word_larger_than_the_places_is_left(vocabulary):
    ids = np.array([[2, 17, 18, 19, 7, 3]], np.int32)
    for seed in range(20):
        batch = Masker(vocabulary, MaskingSettings(0.15, 1, whole_words=True))(ids, np.random.default_rng(seed))
        assert batch.masked_lm_positions.tolist() == [[4]]


def test_words_are_never_split(vocabulary):
    """Random rows, some beginning within a word: a piece is chosen if and only if the one before it is."""
    rng = np.random.default_rng(1)
    ids = rng.choice([7, 11, 17, 15, 16, 18, 19], (500, 40)).astype(np.int32)
    ids[:, 0], ids[:, 17], ids[:, 30] = 2, 3, 3
    ids[:, 31:] = 0
    batch = Masker(vocabulary, MaskingSettings(0.3, 12, whole_words=True))(ids, rng)
    chosen = np.zeros(ids.shape, bool)
    rows, places = np.nonzero(batch.masked_lm_weights)
    chosen[rows, batch.masked_lm_positions[rows, places]] = True
    continues = np.isin(ids, [15, 16, 18, 19])
    continues[:, [1, 18]] = False  # after [CLS] and [SEP] there is nothing to continue
    assert (chosen[:, 1:] == chosen[:, :-1])[continues[:, 1:]].all()
    assert not chosen[np.isin(ids, [0, 2, 3])].any()
    assert 6 < chosen.sum(1).mean() <= 9.3  # 31 tokens * 0.3


@pytest.mark.parametrize("whole_words", [False, True])
def test_ratios(whole_words):
    vocabulary = Vocabulary([*SPECIAL_TOKENS, *map(str, range(1995))])
    rng = np.random.default_rng(0)
    ids = rng.integers(5, 2000, (2000, 100), np.int32)
    ids[:, 0] = 2
    batch = Masker(vocabulary, MaskingSettings(0.15, 20, whole_words))(ids, rng)
    assert batch.masked_lm_weights.sum() == 2000 * 15
    rows = np.arange(2000)[:, None]
    positions = batch.masked_lm_positions[:, :15]
    np.testing.assert_array_equal(ids[rows, positions], batch.masked_lm_ids[:, :15])
    became = batch.input_word_ids[rows, positions]
    masked = (became == 4).mean()
    kept = (became == batch.masked_lm_ids[:, :15]).mean()
    assert masked == pytest.approx(0.8, abs=0.01)
    assert kept == pytest.approx(0.1, abs=0.01)
    replaced = became[(became != 4) & (became != batch.masked_lm_ids[:, :15])]
    assert replaced.mean() == pytest.approx(1000, abs=50)
    assert replaced.min() < 20
    assert replaced.max() > 1980
    everywhere = np.bincount(positions.ravel(), minlength=100)[1:]
    assert everywhere[0] == pytest.approx(2000 * 15 / 99, rel=0.25)
    assert everywhere.std() / everywhere.mean() < 0.1
    untouched = batch.input_word_ids.copy()
    untouched[rows, positions] = batch.masked_lm_ids[:, :15]
    np.testing.assert_array_equal(untouched, ids)


def test_depends_on_the_rng_alone(vocabulary):
    masker = Masker(vocabulary, MaskingSettings(0.5, 8))
    first, again, other = (masker(IDS, np.random.default_rng(seed)).masked_lm_positions for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def spans_of(batch):
    """For each row its runs of chosen places, as (first place, length)."""
    found = []
    for positions, weights in zip(batch.masked_lm_positions, batch.masked_lm_weights, strict=True):
        places = positions[weights > 0]
        cuts = np.flatnonzero(np.diff(places) != 1) + 1
        found.append([(int(run[0]), len(run)) for run in np.split(places, cuts) if len(run)])
    return found


def test_span_lengths():
    """Words of one piece, far more room than one span takes: geometric with p = 0.2, cut off at 10."""
    vocabulary = Vocabulary([*SPECIAL_TOKENS, *map(str, range(95))])
    ids = np.full((4000, 400), 50, np.int32)
    ids[:, 0] = 2
    masker = Masker(vocabulary, MaskingSettings(0.025, 10, spans=True))
    batch = masker(ids, np.random.default_rng(0))
    assert (batch.masked_lm_weights.sum(1) == 10).all()
    firsts = [max(length for _, length in row) for row in spans_of(batch)]
    # With p(n) = 0.8^(n-1) * 0.2 / (1 - 0.8^10), a first span of ten words has probability 0.03.
    assert np.mean([length == 10 for length in firsts]) > 0.03
    assert 3 < np.mean(firsts) < 7
    assert max(firsts) == 10
    starts = np.array([row[0][0] for row in spans_of(batch)])
    assert starts.min() < 5
    assert starts.max() > 200


def test_spans_of_whole_words(vocabulary):
    """Never across a special token, never within a word."""
    rng = np.random.default_rng(1)
    ids = rng.choice([7, 11, 17, 15, 16, 18, 19], (500, 40)).astype(np.int32)
    ids[:, 0], ids[:, 17], ids[:, 30] = 2, 3, 3
    ids[:, 31:] = 0
    batch = Masker(vocabulary, MaskingSettings(0.3, 12, spans=True))(ids, rng)
    chosen = np.zeros(ids.shape, bool)
    rows, places = np.nonzero(batch.masked_lm_weights)
    chosen[rows, batch.masked_lm_positions[rows, places]] = True
    continues = np.isin(ids, [15, 16, 18, 19])
    continues[:, [1, 18]] = False
    assert (chosen[:, 1:] == chosen[:, :-1])[continues[:, 1:]].all()
    assert not chosen[np.isin(ids, [0, 2, 3])].any()
    assert 6 < chosen.sum(1).mean() <= 9.3
    assert (batch.masked_lm_weights.sum(1) <= 10).all()


def test_a_span_has_one_fate():
    vocabulary = Vocabulary([*SPECIAL_TOKENS, *map(str, range(1995))])
    rng = np.random.default_rng(0)
    ids = rng.integers(5, 2000, (3000, 100), np.int32)
    batch = Masker(vocabulary, MaskingSettings(0.06, 6, spans=True))(ids, rng)
    became = np.take_along_axis(batch.input_word_ids, batch.masked_lm_positions, axis=1)
    masked, kept = became == 4, became == batch.masked_lm_ids
    assert masked.mean() == pytest.approx(0.8, abs=0.02)
    assert kept.mean() == pytest.approx(0.1, abs=0.02)
    mixed = sum(
        len({bool(row[place] == 4) for place in range(start, start + length)}) > 1
        for row, spans in zip(batch.input_word_ids, spans_of(batch), strict=True)
        for start, length in spans
    )
    assert mixed < 0.1 * len(ids)  # only where two spans touch


@pytest.mark.parametrize("settings", [{"whole_words": True}, {"spans": True}])
def test_continuations_that_cannot_be_seen(vocabulary, settings):
    """Tokens 1 and 2 are a word, 3 alone, 4 to 6 a word; only two of them may be chosen."""
    ids = np.array([[2, 7, 7, 8, 9, 9, 9, 3]] * 300, np.int32)
    marks = np.array([[0, 0, 1, 0, 0, 1, 1, 0]] * 300, bool)
    masker = Masker(vocabulary, MaskingSettings(0.25, 2, **settings))
    batch = masker(ids, np.random.default_rng(0), word_continuations=marks)
    chosen = {
        tuple(row[weights > 0].tolist())
        for row, weights in zip(batch.masked_lm_positions, batch.masked_lm_weights, strict=True)
    }
    assert chosen == {(1, 2), (3,)}
    free = masker(ids, np.random.default_rng(0))
    assert {5} & set(free.masked_lm_positions.ravel().tolist())


@pytest.mark.parametrize("values", [{"probability": 0}, {"probability": 1}, {"probability": float("nan")}])
def test_refuses_probabilities(values):
    with pytest.raises(UsageError, match=r"must be in \(0, 1\). Received: "):
        MaskingSettings(**values)


def test_refuses_no_places():
    with pytest.raises(UsageError, match=r"max_predictions must be at least 1. Received: 0"):
        MaskingSettings(max_predictions=0)
