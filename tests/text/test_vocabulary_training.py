import doctest
import gzip
import json
import os
import subprocess
import sys

import pytest

import kbert
from kbert.errors import DataError, UsageError
from kbert.sources.settings import SourceSettings
from kbert.sources.source import Source
from kbert.text import vocabulary_training
from kbert.text.tokenizer import Tokenizer
from kbert.text.tokenizer_files.reading import load_tokenizer
from kbert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from kbert.text.vocabulary_training import count_words, train_tokenizer, train_vocabulary

TEXT = "The lowest and the newest! " * 3 + "The widest, the lower and the newer. " * 2


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def test_counts_normalized_words(text):
    counts = count_words(Source([text]), lowercase=True)
    assert counts == {
        **{"the": 12, "and": 5, "lowest": 3, "newest": 3, "!": 3},
        **{"widest": 2, ",": 2, "lower": 2, "newer": 2, ".": 2},
    }
    assert count_words(Source([text]), lowercase=False)["The"] == 5


def test_holds_special_tokens_then_characters_then_pieces(text):
    vocabulary = train_vocabulary([text], size=60)
    assert vocabulary.tokens[:5] == SPECIAL_TOKENS
    assert vocabulary.tokens[5:21] == (*"!,.adehilnorstw", "##d")
    assert {"the", "and", "lowest", "newest"} <= set(vocabulary)
    assert Tokenizer(vocabulary).encode("The newest, lowest!", add_special_tokens=False).tokens == [
        *["the", "newest", ",", "lowest", "!"]
    ]
    assert "The" in train_vocabulary([text], size=70, cased=True)


@pytest.mark.parametrize("size", range(40, 61, 5))
def test_size_is_the_most(text, size):
    smallest = train_vocabulary([text], size=size)
    assert len(smallest) == min(size, len(train_vocabulary([text], size=1000)))


def test_size_with_no_room_for_characters_says_how_much_it_needs(text):
    with pytest.raises(UsageError, match=r"the 15 characters .* Received: size=20; make it at least ") as caught:
        train_vocabulary([text], size=20)
    least = int(str(caught.value).split("at least ")[1].split(",")[0])
    assert len(train_vocabulary([text], size=least)) == least
    with pytest.raises(UsageError, match=f"size={least - 1}"):
        train_vocabulary([text], size=least - 1)


def test_every_word_of_the_text_can_be_spelled(text):
    ids = Tokenizer(train_vocabulary([text], size=45)).ids(TEXT)
    assert 1 not in ids


def test_does_not_depend_on_the_order_or_cut_of_files(tmp_path, text):
    for number, part in enumerate((TEXT[81:], TEXT[:81])):
        (tmp_path / f"{number}.txt").write_text(part)
    whole = train_vocabulary([text], size=50)
    assert train_vocabulary([tmp_path / "0.txt", tmp_path / "1.txt"], size=50) == whole
    assert train_vocabulary([tmp_path / "1.txt", tmp_path / "0.txt"], size=50) == whole


def test_is_the_same_in_every_process(text):
    code = (
        "import sys\nfrom kbert.text.vocabulary_training import train_vocabulary\n"
        "print(*train_vocabulary([sys.argv[1]], size=50))"
    )
    for seed in ("1", "2", "3"):
        environment = {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", code, str(text)]
        output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
        assert output.split() == list(train_vocabulary([text], size=50))


def test_reads_compressed_files_and_reports_progress(tmp_path, text):
    packed = tmp_path / "text.txt.gz"
    packed.write_bytes(gzip.compress(text.read_bytes()))
    calls = []
    vocabulary = train_vocabulary([packed, text], size=50, progress=lambda *call: calls.append(call))
    assert vocabulary == train_vocabulary([text, text], size=50)
    total = packed.stat().st_size + text.stat().st_size
    read = min(2 * text.stat().st_size, total)
    assert calls == [("counting words", read, total), ("choosing pieces", 0, 0)]


def test_reads_other_formats(tmp_path, text):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"body": line}) + "\n" for line in text.read_text().splitlines()))
    found = train_vocabulary([rows], size=50, text_field="body")
    assert found == train_vocabulary([text], size=50)


def test_coverage_leaves_rare_characters_out_but_ascii_in(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("中国 " * 500 + "龘 龘 q q ab ab\n", encoding="utf-8")
    assert {"中", "国", "龘", "q", "a"} <= set(train_vocabulary([path], character_coverage=1.0, size=100))
    covered = train_vocabulary([path], character_coverage=0.99, size=100)
    assert {"中", "国", "q", "a"} <= set(covered)
    assert "龘" not in covered
    for value in (0, 1.1, float("nan")):
        with pytest.raises(UsageError, match=r"character_coverage must be above 0 and at most 1"):
            train_vocabulary([path], character_coverage=value)


@pytest.mark.parametrize("value", [0, -3])
def test_a_minimum_frequency_that_cannot_be(tmp_path, value):
    with pytest.raises(UsageError, match="minimum_frequency must be at least 1"):
        train_vocabulary([tmp_path], minimum_frequency=value)


def test_minimum_frequency(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("cat cat cat dog dog\n")
    assert {"cat", "dog"} <= set(train_vocabulary([path], size=100))
    frequent = train_vocabulary([path], size=100, minimum_frequency=3)
    assert "cat" in frequent
    assert "dog" not in frequent


def test_forgets_the_rarest_words_past_the_bound(text, tmp_path, monkeypatch):
    (tmp_path / "more.txt").write_text("zebra the\n")
    monkeypatch.setattr(vocabulary_training, "_MOST_WORDS", 4)
    assert count_words(Source([text, tmp_path / "more.txt"]), lowercase=True) == {"the": 13, "and": 5}


def test_scales_a_large_corpus_down(text, monkeypatch):
    expected = train_vocabulary([text], size=50)
    monkeypatch.setattr(vocabulary_training, "_TRAINED_WORDS", 20)
    scaled = train_vocabulary([text], size=50)
    assert "the" in scaled
    assert scaled.tokens[:20] == expected.tokens[:20]


@pytest.mark.parametrize("content", ["", "\n \u2028\n"])
def test_no_text(tmp_path, content):
    (tmp_path / "empty.txt").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"empty\.txt: expected text .* holds no words"):
        train_vocabulary([tmp_path / "empty.txt"])


def test_input_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        train_vocabulary([tmp_path / "absent.txt"])
    (tmp_path / "latin1.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(DataError, match=r"latin1\.txt:1: expected utf-8 text"):
        train_vocabulary([tmp_path / "latin1.txt"])


@pytest.mark.parametrize("function", [train_vocabulary, train_tokenizer])
def test_the_examples(text, monkeypatch, function):
    monkeypatch.chdir(text.parent)
    text.rename("text.txt")
    found = doctest.DocTestFinder(recurse=False).find(function, "example", globs={"kbert": kbert})
    assert [(len(test.examples), doctest.DocTestRunner().run(test).failed) for test in found] == [(2, 0)]


def test_what_is_written(text, tmp_path):
    vocabulary = train_vocabulary([text], size=50, output=tmp_path / "vocab.txt")
    assert Vocabulary.from_file(tmp_path / "vocab.txt") == vocabulary
    tokenizer = train_tokenizer([text], size=70, cased=True, output=tmp_path / "folder")
    assert load_tokenizer(tmp_path / "folder").settings == tokenizer.settings
    with pytest.raises(UsageError, match=r"^output must be a vocab\.txt, or a new or empty folder\. Received: "):
        train_vocabulary([text], size=50, output=tmp_path / "folder")


def test_a_source_has_its_own_settings(text):
    source = Source([text], SourceSettings(nfc=True))
    assert train_vocabulary(source, size=50) == train_vocabulary([text], size=50, options=SourceSettings(nfc=True))
    with pytest.raises(UsageError, match=r"^a Source has its own settings for reading\. "):
        train_vocabulary(source, size=50, invalid_utf8="skip")


def test_duplicates_are_left_out(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("the cat\nall rights reserved\n\nthe dog\nall rights reserved\n")
    for unit, expected in (("none", 2), ("line", 1)):
        source = Source([path], SourceSettings(deduplicate=unit))
        assert count_words(source)["rights"] == expected
    assert source.counts["duplicate_lines"] == 1
