import pytest

from kbert.errors import DataError, VocabularyError
from kbert.text.vocabulary import SPECIAL_TOKENS, Vocabulary


def test_is_a_sequence_of_tokens(vocabulary):
    assert len(vocabulary) == 23
    assert (vocabulary[5], vocabulary[15:17], vocabulary.ids["mat"]) == ("the", ("##s", "##ed"), 11)
    assert "cat" in vocabulary
    assert "cats" not in vocabulary
    assert list(vocabulary)[:5] == list(SPECIAL_TOKENS)
    assert vocabulary == Vocabulary(list(vocabulary))
    assert hash(vocabulary) == hash(Vocabulary(list(vocabulary)))
    assert vocabulary != Vocabulary([*vocabulary, "new"])


def test_special_ids_are_looked_up_not_assumed():
    vocabulary = Vocabulary(["x", "[MASK]", "[SEP]", "[CLS]", "[UNK]", "[PAD]"])
    assert (vocabulary.mask_id, vocabulary.separator_id, vocabulary.classification_id) == (1, 2, 3)
    assert (vocabulary.unknown_id, vocabulary.pad_id) == (4, 5)


def test_comes_back_from_its_file(tmp_path, vocabulary):
    vocabulary.save(tmp_path / "vocab.txt")
    assert (tmp_path / "vocab.txt").read_bytes().startswith(b"[PAD]\n[UNK]\n")
    assert Vocabulary.from_file(tmp_path / "vocab.txt") == vocabulary


def test_line_ends_and_trailing_lines_do_not_count(tmp_path, vocabulary):
    path = tmp_path / "vocab.txt"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(vocabulary).encode() + b"\r\n\r\n \n")
    assert Vocabulary.from_file(path) == vocabulary


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("[PAD]\n[UNK]\n[CLS]\n[SEP]\nx\n", None, r"must hold \[PAD\] .* Missing: \[MASK\]; make one with"),
        ("cat\n", None, r"Missing: \[PAD\] \[UNK\] \[CLS\] \[SEP\] \[MASK\]"),
        ("Some text.\n\nMore.\n\nText.\n", 2, "several blank lines: is this text?"),
        ("[PAD]\ncat\n[UNK]\n[CLS]\ncat\n", 2, "must appear once. Received 'cat' again in line 5"),
        ("", None, "It is empty"),
        ("\n\n", None, "It is empty"),
    ],
)
def test_what_cannot_be_a_vocabulary(tmp_path, content, line, message):
    path = tmp_path / "vocab.txt"
    path.write_text(content)
    with pytest.raises(VocabularyError, match=message) as caught:
        Vocabulary.from_file(path)
    assert (caught.value.path, caught.value.line) == (str(path), line)


def test_missing_file(tmp_path):
    with pytest.raises(VocabularyError, match="It does not exist"):
        Vocabulary.from_file(tmp_path / "absent.txt")


def test_not_utf8(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes("[PAD]\nété\n".encode("latin-1"))
    with pytest.raises(DataError, match="byte 0xe9 at byte offset 6") as caught:
        Vocabulary.from_file(path)
    assert caught.value.line == 2
