import numpy as np
import pytest

from kbert.corpus.building.build import build_corpus
from kbert.corpus.reading.pipeline import PretrainingBatches
from kbert.corpus.reading.statistics import CorpusStatistics, MaskedExample, read_statistics, words_with_marks
from kbert.errors import RecordError


def batch(**changes):
    """Two examples of length 8: [CLS] the cat [SEP] a dog [SEP] and [CLS] the [SEP] mat ##s [SEP]."""
    return {
        "input_word_ids": np.array([[2, 4, 7, 3, 6, 6, 3, 0], [2, 5, 3, 11, 15, 3, 0, 0]], np.int32),
        "input_mask": np.array([[1] * 7 + [0], [1] * 6 + [0] * 2], np.int32),
        "input_type_ids": np.array([[0] * 4 + [1] * 3 + [0], [0] * 3 + [1] * 3 + [0] * 2], np.int32),
        "masked_lm_positions": np.array([[1, 5, 0], [4, 0, 0]], np.int32),
        "masked_lm_ids": np.array([[5, 8, 0], [15, 0, 0]], np.int32),
        "masked_lm_weights": np.array([[1, 1, 0], [1, 0, 0]], np.float32),
        "next_sentence_labels": np.array([1, 0], np.int32),
        **changes,
    }


def test_counts(vocabulary):
    statistics = CorpusStatistics.empty(vocabulary, 8, "static", 5)
    statistics.add(batch())
    assert statistics.lengths.tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 0]
    # What is masked or replaced counts as what it was.
    expected = {"[CLS]": 2, "[SEP]": 4, "the": 2, "cat": 1, "a": 1, "dog": 1, "mat": 1, "##s": 1}
    assert {vocabulary[i]: int(n) for i, n in enumerate(statistics.used) if n} == expected
    assert statistics.predictions == {"mask": 1, "random": 1, "kept": 1}
    assert (statistics.examples, statistics.positive, statistics.tokens) == (2, 1, 13)
    assert statistics.fill_rate == 13 / 16
    assert statistics.masked_share == 3 / 13
    assert statistics.most_used(2) == [("the", 2), ("a", 1)]
    assert statistics.never_used() == "sat on ran fast slow ##ed un ##aff ##able . , !".split()
    facts = statistics.facts()
    assert (facts["random_next"], facts["mean_length"], facts["examples_in_corpus"]) == (0.5, 6.5, 5)
    statistics.add(batch())
    assert (statistics.examples, statistics.positive, statistics.masked_share) == (4, 2, 3 / 13)


def test_nothing_counted_is_no_error(vocabulary):
    facts = CorpusStatistics.empty(vocabulary, 8, "static", 0).facts()
    assert (facts["fill_rate"], facts["masked"], facts["random_next"]) == (0, 0, None)


def test_words_with_the_fate_of_masked_tokens():
    example = MaskedExample(
        ["[CLS]", "the", "[MASK]", "##s", "ran", "[SEP]"], {2: "cat", 3: "##ed", 4: "ran"}, None, ""
    )
    assert list(words_with_marks(example)) == [
        ("[CLS]", "", ""),
        (" the", "", ""),
        (" [MASK]", "mask", "cat"),
        ("s", "random", "##ed"),
        (" ran", "kept", "ran"),
        (" [SEP]", "", ""),
    ]


@pytest.mark.parametrize("masking", ["static", "dynamic"])
def test_each_example_is_counted_once(tmp_path, corpus_text, vocab_file, vocabulary, masking):
    folder = tmp_path / "corpus"
    manifest = build_corpus([corpus_text], vocab=vocab_file, output=folder, sequence_length=16, masking=masking)
    calls = []
    statistics, shown = read_statistics(folder, examples=3, progress=lambda *call: calls.append(call))
    assert statistics.examples == statistics.total == manifest.examples == calls[-1][0] == calls[-1][1]
    assert statistics.tokens == manifest.counts["example_tokens"]
    assert statistics.positive == manifest.counts["random_next"]
    assert statistics.used[vocabulary.cls_id] == manifest.examples
    assert statistics.used[vocabulary.mask_id] == 0
    assert statistics.masking == masking
    assert len(shown) == 3
    for example in shown:
        assert (example.tokens[0], example.tokens[-1]) == ("[CLS]", "[SEP]")
        assert example.tokens[example.second - 1] == "[SEP]"
        assert example.originals


def test_masks_are_those_of_training(corpus):
    """Not merely alike: the first batch of training with this seed."""
    size = PretrainingBatches(corpus, batch_size=1).manifest.examples
    trained = next(PretrainingBatches(corpus, batch_size=size, seed=7).batches())
    _, shown = read_statistics(corpus, examples=2, seed=7)
    for row, example in enumerate(shown):
        count = int(trained["masked_lm_weights"][row].sum())
        assert list(example.originals) == trained["masked_lm_positions"][row, :count].tolist()


def test_a_part_of_the_examples(corpus):
    statistics, shown = read_statistics(corpus, examples=9, limit=5)
    assert (statistics.examples, len(shown)) == (5, 5)
    assert statistics.total > 5
    assert int(statistics.lengths.sum()) == 5


def test_no_corpus(tmp_path):
    with pytest.raises(RecordError, match="expected a corpus made by"):
        read_statistics(tmp_path)


@pytest.mark.parametrize("masking", ["static", "dynamic"])
def test_packed_rows_hold_the_same_examples(tmp_path, corpus_text, vocab_file, masking):
    folder = tmp_path / "corpus"
    build_corpus([corpus_text], vocab=vocab_file, output=folder, sequence_length=16, masking=masking)
    plain, _ = read_statistics(folder)
    packed, shown = read_statistics(folder, examples=10**6, pack_to=50)
    assert packed.examples == plain.examples == len(shown)
    assert packed.lengths.tolist()[: len(plain.lengths)] == plain.lengths.tolist()
    assert (packed.positive, packed.tokens) == (plain.positive, plain.tokens)
    assert packed.used.tolist() == plain.used.tolist()
    if masking == "static":
        assert packed.predictions == plain.predictions
    assert packed.fill_rate == PretrainingBatches(folder, batch_size=1, pack_to=50).fill_rate
    assert packed.fill_rate != plain.fill_rate
    for example in shown:
        assert (example.tokens[0], example.tokens[-1]) == ("[CLS]", "[SEP]")
        assert example.tokens.count("[SEP]") == 2


@pytest.mark.parametrize(
    ("objective", "name", "words"),
    [
        ("nsp", "random_next", {"random next text", "true next text"}),
        ("sop", "swapped", {"texts swapped", "texts in order"}),
        ("none", None, {""}),
    ],
)
def test_labels_are_called_by_the_objective(tmp_path, corpus_text, vocab_file, objective, name, words):
    folder = tmp_path / "corpus"
    manifest = build_corpus([corpus_text], vocab=vocab_file, output=folder, sequence_length=16, objective=objective)
    statistics, shown = read_statistics(folder, examples=100)
    assert {example.label for example in shown} == words
    facts = statistics.facts()
    assert {key for key in ("random_next", "swapped") if key in facts} == ({name} if name else set())
    if name:
        assert facts[name] == manifest.counts[name] / manifest.examples
