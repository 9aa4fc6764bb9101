import gzip
import hashlib
import json
import math
import os

import numpy as np
import pytest
import tensorflow as tf

from kbert.corpus.building import build
from kbert.corpus.building.build import build_corpus, default_predictions
from kbert.corpus.records.manifest import Manifest
from kbert.errors import DataError, UsageError, VocabularyError


def read(folder):
    """All examples of a corpus in order, each {name: array}."""
    found = []
    for shard in Manifest.load(folder).shards:
        for record in tf.data.TFRecordDataset(str(folder / shard.file), "GZIP"):
            features = tf.train.Example.FromString(record.numpy()).features.feature
            found.append({name: list(f.int64_list.value or f.float_list.value) for name, f in features.items()})
    return found


def test_examples_are_pairs(make, vocabulary):
    """[CLS] first [SEP] second [SEP], not padded, with types and a label."""
    for example in read(make("corpus")):
        assert sorted(example) == ["input_type_ids", "input_word_ids", "next_sentence_labels"]
        ids, types = example["input_word_ids"], example["input_type_ids"]
        assert len(ids) == len(types) <= 16
        ends = [place for place, index in enumerate(ids) if index == vocabulary.sep_id]
        assert (ids[0], len(ends), ends[-1]) == (vocabulary.cls_id, 2, len(ids) - 1)
        assert 1 < ends[0] < ends[1] - 1
        assert types == [0] * (ends[0] + 1) + [1] * (ends[1] - ends[0])
        assert example["next_sentence_labels"] in ([0], [1])
        assert not {vocabulary.pad_id, vocabulary.mask_id} & set(ids)


def test_manifest_is_true(make, small_pieces, corpus_text):
    folder = make("corpus")
    manifest = Manifest.load(folder)
    examples = read(folder)
    assert len(manifest.shards) > 1
    assert manifest.examples == len(examples) == manifest.counts["examples"]
    assert manifest.counts["random_next"] == sum(example["next_sentence_labels"][0] for example in examples)
    assert manifest.counts["example_tokens"] == sum(len(example["input_word_ids"]) for example in examples)
    assert (manifest.counts["documents"], manifest.counts["segments"]) == (8, 40)
    assert manifest.counts["bytes"] == len(corpus_text.read_bytes().replace(b"\n\n", b"\n"))
    for shard in manifest.shards:
        data = (folder / shard.file).read_bytes()
        assert shard.sha256 == hashlib.sha256(data).hexdigest()
        assert shard.examples == sum(1 for _ in tf.data.TFRecordDataset(str(folder / shard.file), "GZIP"))
    assert (manifest.masking, manifest.sequence_length, manifest.max_predictions) == ("dynamic", 16, 3)


@pytest.mark.parametrize("masking", ["dynamic", "static"])
def test_bytes_depend_on_text_settings_and_seed_alone(content, make, small_pieces, masking):
    one = content(make("one", masking=masking))
    assert content(make("again", masking=masking)) == one
    assert content(make("two", masking=masking, workers=2)) == one
    assert (
        content(make("other", masking=masking, seed=1))["examples-00000.tfrecord.gz"]
        != one["examples-00000.tfrecord.gz"]
    )
    assert len(one) > 3


def test_compression_and_cut_of_the_input_do_not_matter(make, corpus_text, tmp_path):
    text = corpus_text.read_text()
    packed = tmp_path / "packed"
    packed.mkdir()
    cut = text.index("\n\n") + 1
    (packed / "1.txt.gz").write_bytes(gzip.compress(text[:cut].encode()))
    (packed / "2.txt").write_bytes(text[cut:].replace("\n", "\r\n").encode())
    assert read(make("packed_corpus", [packed])) == read(make("corpus"))


def test_static_masks_lie_as_the_originals_do(make, vocabulary):
    """Fixed lengths, as run_pretraining.py of google-research/bert reads them (with TF Hub's names)."""
    folder = make("corpus", masking="static", max_predictions=4)
    dynamic = make("dynamic", max_predictions=4)
    parser = {
        "input_word_ids": tf.io.FixedLenFeature([16], tf.int64),
        "input_mask": tf.io.FixedLenFeature([16], tf.int64),
        "input_type_ids": tf.io.FixedLenFeature([16], tf.int64),
        "masked_lm_positions": tf.io.FixedLenFeature([4], tf.int64),
        "masked_lm_ids": tf.io.FixedLenFeature([4], tf.int64),
        "masked_lm_weights": tf.io.FixedLenFeature([4], tf.float32),
        "next_sentence_labels": tf.io.FixedLenFeature([1], tf.int64),
    }
    plain = read(dynamic)
    dataset = tf.data.TFRecordDataset(str(folder / "examples-00000.tfrecord.gz"), "GZIP")
    parsed = [{k: v.numpy() for k, v in tf.io.parse_single_example(record, parser).items()} for record in dataset]
    assert len(parsed) == len(plain)
    masked = 0
    for row, source in zip(parsed, plain, strict=True):
        count = len(source["input_word_ids"])
        assert row["input_mask"].tolist() == [1] * count + [0] * (16 - count)
        assert row["input_type_ids"].tolist() == source["input_type_ids"] + [0] * (16 - count)
        assert row["next_sentence_labels"].tolist() == source["next_sentence_labels"]
        predictions = int(row["masked_lm_weights"].sum())
        assert row["masked_lm_weights"].tolist() == [1] * predictions + [0] * (4 - predictions)
        assert predictions in (max(1, int(count * 0.15)), int(count * 0.15) + 1)
        positions = row["masked_lm_positions"][:predictions]
        masked += (row["input_word_ids"][positions] == vocabulary.mask_id).sum()
        row["input_word_ids"][positions] = row["masked_lm_ids"][:predictions]
        assert row["input_word_ids"].tolist() == source["input_word_ids"] + [0] * (16 - count)
    assert masked


def test_the_originals_names(make):
    """As run_pretraining.py of google-research/bert reads them: no compression, its names, fixed lengths."""
    folder = make("corpus", masking="static", feature_names="original", compression="none", max_predictions=4)
    names = ["input_ids", "input_mask", "masked_lm_ids", "masked_lm_positions", "masked_lm_weights"]
    names += ["next_sentence_labels", "segment_ids"]
    lengths = [16, 16, 4, 4, 4, 1, 16]
    (shard,) = Manifest.load(folder).shards
    assert shard.file == "examples-00000.tfrecord"
    dataset = tf.data.TFRecordDataset(str(folder / shard.file))
    features = [tf.train.Example.FromString(record.numpy()).features.feature for record in dataset]
    assert len(features) == shard.examples
    hub_folder = make("hub", masking="static", max_predictions=4)
    for feature, hub in zip(features, read(hub_folder), strict=True):
        values = {name: list(f.int64_list.value or f.float_list.value) for name, f in feature.items()}
        assert [(name, len(values[name])) for name in sorted(values)] == list(zip(names, lengths, strict=True))
        assert values["input_ids"] == hub["input_word_ids"]
        assert values["segment_ids"] == hub["input_type_ids"]


def test_one_document_is_enough_without_random_texts(make, tmp_path):
    (tmp_path / "one.txt").write_text("The cat sat on the mat. A dog ran fast.\nThe dogs sat.\n")
    assert Manifest.load(make("none", [tmp_path / "one.txt"], objective="none")).counts["examples"] == 2
    assert "swapped" in Manifest.load(make("sop", [tmp_path / "one.txt"], objective="sop")).counts
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(DataError, match=r"expected at least one document. The input holds no text"):
        make("empty", [tmp_path / "empty.txt"], objective="none")


def test_text_that_makes_no_example(make, tmp_path):
    (tmp_path / "odd.txt").write_text("The cat sat.\n\n\u00ad\u200b\n", encoding="utf-8")
    with pytest.raises(DataError, match="expected at least two documents"):
        make("corpus", [tmp_path / "odd.txt"])
    (tmp_path / "short.txt").write_text("cat\n\ndog\n")
    settings = {"objective": "sop"}  # a single token is left alone
    with pytest.raises(DataError, match=r"expected text\. The inputs give no example"):
        make("corpus", [tmp_path / "short.txt"], **settings)


def test_a_word_list_needs_whole_words(make, tmp_path):
    (tmp_path / "words.txt").write_text("the cat\n")
    with pytest.raises(
        UsageError, match="word_list has no effect without whole-word masking; add whole_words or spans"
    ):
        make("corpus", word_list=tmp_path / "words.txt")


def test_duplicates_are_other_pairs(make):
    once, twice = read(make("once")), read(make("twice", duplicates=2))
    assert len(twice) > 1.5 * len(once)
    texts = {tuple(example["input_word_ids"]) for example in twice}
    assert len(texts) > len({tuple(example["input_word_ids"]) for example in once})


def test_each_line_can_be_a_document(make):
    assert Manifest.load(make("corpus", document_separator="line")).counts["documents"] == 40


def test_inputs_of_any_format_are_built_alike(make, corpus_text, tmp_path):
    """Text, JSON lines and WikiExtractor's output with the same documents give the same records."""
    texts = corpus_text.read_text().strip().split("\n\n")
    rows, wiki = tmp_path / "rows.jsonl", tmp_path / "wiki_00"
    rows.write_text("".join(json.dumps({"a": {"b": text}}) + "\n" for text in texts))
    wiki.write_text("".join(f'<doc id="1" title="x">\nx\n\n{text}\n</doc>\n' for text in texts))
    expected = read(make("corpus"))
    assert read(make("rows", [rows], text_field="a.b")) == expected
    assert read(make("wiki", [wiki])) == expected


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_left_out_is_in_the_manifest(make, small_pieces, corpus_text, tmp_path, workers):
    path = tmp_path / "twice.txt"
    path.write_bytes(corpus_text.read_bytes() + b"\n\xff\n\n" + corpus_text.read_bytes())
    folder = make("corpus", [path], deduplicate="document", invalid_utf8="skip", workers=workers)
    counts = Manifest.load(folder).counts
    assert (counts["duplicate_documents"], counts["invalid_utf8"], counts["documents"]) == (9, 1, 7)
    # The eighth document has the sentences of the first.
    assert Manifest.load(make("plain")).counts["documents"] == 8
    assert read(folder) == read(make("once", deduplicate="document"))


def test_lines_can_be_sentences(make, tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("The cat sat. A dog ran.\n\nThe mat. The dog.")
    assert Manifest.load(make("split", [path])).counts["segments"] == 4
    assert Manifest.load(make("lines", [path], sentences="lines")).counts["segments"] == 2


def test_case(make, vocabulary):
    unknown = [
        sum(e["input_word_ids"].count(1) for e in read(make(str(cased), cased=cased))) for cased in (False, True)
    ]
    assert unknown[0] < unknown[1]  # the vocabulary is uncased
    assert Manifest.load(make("cased", cased=True)).lowercase is False


def test_a_sentence_longer_than_an_example_is_cut_and_nothing_is_lost(make, tmp_path):
    path = tmp_path / "long.txt"
    path.write_text("cat " * 50 + "\n\n" + "dog dog\n")
    manifest = Manifest.load(make("corpus", [path]))
    assert manifest.counts["segments"] == 4 + 1
    assert manifest.counts["tokens"] == 52


def test_progress(make, corpus_text, small_pieces):
    calls = []
    make("corpus", progress=lambda *call: calls.append(call))
    size = corpus_text.stat().st_size
    assert len(calls) > 2
    assert calls == sorted(calls)
    assert calls[-1] == ("building", size - 7, size)  # all but the blank lines


def test_holds_no_more_than_some_chunks(tmp_path, vocab_file, small_pieces, monkeypatch):
    """A text is streamed: results are on disk before the rest of it is read."""
    path = tmp_path / "text.txt"
    path.write_text("The cat sat on the mat.\nA dog ran.\n\n" * 200)
    seen = []
    done = build_corpus(
        [path],
        vocab=vocab_file,
        output=tmp_path / "corpus",
        progress=lambda *_: seen.append(len(list((tmp_path / "corpus").glob("*.gz")))),
    )
    assert len(done.shards) > 10
    assert seen[len(seen) // 2] >= len(done.shards) // 2 - 1


@pytest.mark.parametrize("workers", [1, 2])
def test_bad_text_leaves_no_corpus(content, make, tmp_path, corpus_text, workers):
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"fine\n\ncaf\xe9\n")
    with pytest.raises(DataError, match=r"bad\.txt:3: expected utf-8 text"):
        make("corpus", [corpus_text, bad], workers=workers)
    assert sorted(content(tmp_path / "corpus")) == ["unfinished.jsonl", "vocab.txt"]
    make("corpus")


@pytest.mark.parametrize(
    ("text", "message"), [("", "holds no text"), ("The cat sat.\nThe dog ran.", "a single document")]
)
def test_fewer_than_two_documents(make, tmp_path, text, message):
    (tmp_path / "few.txt").write_text(text)
    with pytest.raises(DataError, match="expected at least two documents.*" + message):
        make("corpus", [tmp_path / "few.txt"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sequence_length": 7}, "sequence_length must be at least 8. Received: sequence_length=7"),
        ({"masking": "both"}, "masking must be one of dynamic, static. Received: masking='both'"),
        ({"mask_probability": 0}, "mask_probability must be above 0 and below 1. Received: mask_probability=0"),
        ({"mask_probability": math.nan}, "mask_probability must be above 0 and below 1"),
        ({"max_predictions": 0}, "max_predictions must be at least 1"),
        ({"short_probability": 1.5}, "short_probability must be from 0 to 1. Received: short_probability=1.5"),
        ({"duplicates": 0}, "duplicates must be at least 1"),
        ({"document_separator": "page"}, "document_separator must be one of blank-line, line. Received: document_sepa"),
        ({"objective": "mlm"}, "objective must be one of nsp, sop, none. Received: objective='mlm'"),
        ({"feature_names": "v2"}, "feature_names must be one of tf-hub, original. Received: feature_names='v2'"),
        (
            {"feature_names": "original"},
            "feature_names='original' needs masking='static', .* Received: masking='dynamic'",
        ),
        ({"compression": "zip"}, "compression must be one of gzip, none. Received: compression='zip'"),
        ({"max_predictions": 17}, "at most sequence_length. Received: max_predictions=17, sequence_length=16"),
        ({"sentences": "words"}, "sentences must be one of split, lines. Received: sentences='words'"),
        ({"language": "de"}, "language must be one of auto, en, zh, ja, ko, general. Received: language='de'"),
        ({"format": "xml"}, "format must be one of"),
        ({"workers": 0}, "workers must be at least 1"),
        ({"inputs": ["absent.txt"]}, "no such file"),
    ],
)
def test_options_that_cannot_be(make, tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        make("corpus", **options)
    assert not (tmp_path / "corpus").exists()


def test_vocabulary_is_read_before_anything_is_touched(tmp_path, corpus_text):
    with pytest.raises(VocabularyError):
        build_corpus([corpus_text], vocab=tmp_path / "absent.txt", output=tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()


def test_places_for_predictions():
    assert [default_predictions(length) for length in (8, 16, 128, 512)] == [2, 3, 20, 77]
    assert default_predictions(128, 0.001) == 1


def test_halves_and_lengths_over_a_large_text(make, tmp_path):
    path = tmp_path / "many.txt"
    rng = np.random.default_rng(0)
    words = np.array("the a cat dog sat on mat ran fast slow un".split())
    documents = [
        "\n".join(" ".join(rng.choice(words, rng.integers(3, 9))) for _ in range(rng.integers(1, 15)))
        for _ in range(400)
    ]
    path.write_text("\n\n".join(documents))
    examples = read(make("corpus", [path], sequence_length=32))
    assert len(examples) > 1000
    assert sum(e["next_sentence_labels"][0] for e in examples) / len(examples) == pytest.approx(0.5, abs=0.04)
    full = sum(len(e["input_word_ids"]) == 32 for e in examples) / len(examples)
    assert full > 0.4


def test_a_chunk_without_examples_does_not_end_its_shard(make, tmp_path, monkeypatch):
    """Text of nothing but characters that cleaning drops; the chunks around it are in the same shard."""
    monkeypatch.setattr(build, "_CHUNK_SIZE", 1)
    path = tmp_path / "text.txt"
    path.write_text(
        "The cat sat.\n\nA dog ran.\n\n" + "\U000e0041\U000e0042\n\n" * 4 + "The mat.\n\nFast dogs.", encoding="utf-8"
    )
    folder = make("corpus", [path])
    (shard,) = Manifest.load(folder).shards
    assert len(read(folder)) == shard.examples == 4


@pytest.mark.long
def test_yields_as_many_examples_as_the_original(data, tmp_path):
    """create_pretraining_data.py makes 60 examples with 32 random nexts of its sample text (128/20/5), 6,207 tokens."""
    text, vocab = data / "corpus" / "bert_sample_text.txt", data / "vocab" / "bert-base-uncased.txt"
    counts = [
        build_corpus([text], vocab=vocab, output=tmp_path / str(seed), duplicates=5, seed=seed).counts
        for seed in range(20)
    ]
    mean = {key: sum(count[key] for count in counts) / 20 for key in counts[0]}
    assert mean["examples"] == pytest.approx(60, rel=0.1)
    assert mean["example_tokens"] == pytest.approx(6207, rel=0.1)
    assert mean["random_next"] == pytest.approx(30, rel=0.15)


@pytest.mark.parametrize("masking", ["dynamic", "static"])
def test_equal_chunks_do_not_give_equal_examples(make, tmp_path, corpus_text, monkeypatch, masking):
    """Nor equal masks, where a chunk has nothing else to choose."""
    monkeypatch.setattr(build, "_CHUNK_SIZE", 1)
    path = tmp_path / "text.txt"
    path.write_text("The slow cat sat on a mat.\n\n" * 40)
    examples = read(make("corpus", [path], masking=masking, short_probability=0, sequence_length=32))
    firsts = [example["input_word_ids"] for example in examples]
    assert len({tuple(ids) for ids in firsts}) > (20 if masking == "static" else 4)


def test_masks_depend_on_the_seed(make):
    """Examples that two seeds have in common are masked in other places."""
    found = []
    for seed in (1, 2):
        examples = read(make(str(seed), masking="static", seed=seed, duplicates=20))
        masks = {}
        for example in examples:
            ids = example["input_word_ids"]
            for place, index in zip(example["masked_lm_positions"], example["masked_lm_ids"], strict=True):
                ids[place] = index if place else ids[place]
            masks.setdefault(tuple(ids), []).append(example["masked_lm_positions"])
        found.append(masks)
    common = found[0].keys() & found[1].keys()
    assert len(common) > 20
    assert sum(found[0][ids] == found[1][ids] for ids in common) < len(common) / 2


def test_the_name_of_a_text_file_may_have_another_encoding(make, corpus_text, tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.txt")
    path.write_bytes(corpus_text.read_bytes())
    assert Manifest.load(make("corpus", [path])).inputs[0].path == str(path)
