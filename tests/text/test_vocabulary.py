import pickle

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
    assert (vocabulary.mask_id, vocabulary.sep_id, vocabulary.cls_id) == (1, 2, 3)
    assert (vocabulary.unk_id, vocabulary.pad_id) == (4, 5)


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
        ("Some text.\n\nMore.\n\nText.\n", 2, "several blank lines, as in a text; `kbert vocab train`"),
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


ODD = "[PAD]\n[UNK]\n\n[CLS]\n[SEP]\ncat\n[MASK]\n\u3000\ncat\n \ndog \n\n##s\n\n".encode()


def test_lines_that_are_there_twice(tmp_path):
    """Ids are the numbers of lines, the last of equal lines has the token, and the file is written as it was."""
    path = tmp_path / "vocab.txt"
    path.write_bytes(ODD)
    vocabulary = Vocabulary.from_file(path)
    assert vocabulary.tokens == (
        *("[PAD]", "[UNK]", "", "[CLS]", "[SEP]", "cat", "[MASK]", "", "cat", "", "dog", "", "##s"),
    )
    assert (vocabulary.ids["cat"], vocabulary.ids["dog"], vocabulary.ids["##s"]) == (8, 10, 12)
    assert (vocabulary.cls_id, vocabulary.mask_id, len(vocabulary)) == (3, 6, 13)
    pieces = vocabulary.distinct_pieces
    assert len(set(pieces)) == 13
    assert pieces[2:9] == [" line 3", "[CLS]", "[SEP]", " line 6", "[MASK]", " line 8", "cat"]
    vocabulary.save(tmp_path / "again.txt")
    assert (tmp_path / "again.txt").read_bytes() == ODD
    vocabulary.with_added(["new"]).save(tmp_path / "again.txt")
    assert (tmp_path / "again.txt").read_bytes() == ODD


@pytest.mark.parametrize("content", [b"\r\n".join([*map(str.encode, SPECIAL_TOKENS), b"a"]), b"\xef\xbb\xbf" + ODD])
def test_files_are_written_as_they_were(tmp_path, content):
    (tmp_path / "vocab.txt").write_bytes(content)
    Vocabulary.from_file(tmp_path / "vocab.txt").save(tmp_path / "again.txt")
    assert (tmp_path / "again.txt").read_bytes() == content


@pytest.mark.parametrize(("twice", "message"), [("cat", "'cat'"), ("", "a blank line")])
def test_a_vocabulary_that_nobody_has_learnt_has_each_token_once(tmp_path, twice, message):
    (tmp_path / "vocab.txt").write_text("\n".join([*SPECIAL_TOKENS, twice, "a", twice, "b"]))
    with pytest.raises(VocabularyError, match=rf"must appear once\. Received: {message} again in line 8") as caught:
        Vocabulary.from_file(tmp_path / "vocab.txt", untrained=True)
    assert caught.value.line == 6


def test_blank_lines_at_the_end_may_be_tokens(tmp_path):
    (tmp_path / "vocab.txt").write_bytes(ODD + b"\n")
    vocabulary = Vocabulary.from_file(tmp_path / "vocab.txt")
    assert [len(vocabulary.with_blank_end(size)) for size in (0, 13, 14, 15, 99)] == [13, 13, 14, 15, 15]
    vocabulary.with_blank_end(15).save(tmp_path / "again.txt")
    assert (tmp_path / "again.txt").read_bytes() == ODD + b"\n"


def test_missing_file(tmp_path):
    with pytest.raises(VocabularyError, match="It does not exist"):
        Vocabulary.from_file(tmp_path / "absent.txt")


def test_not_utf8(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes("[PAD]\nété\n".encode("latin-1"))
    with pytest.raises(DataError, match="byte 0xe9 at byte offset 6") as caught:
        Vocabulary.from_file(path)
    assert caught.value.line == 2


def test_sent_to_a_worker(tmp_path):
    """With added tokens, and blank lines at the end that may become tokens."""
    path = tmp_path / "vocab.txt"
    path.write_text("".join(f"{token}\n" for token in SPECIAL_TOKENS) + "a\n\n\n")
    vocabulary = Vocabulary.from_file(path)
    for one in (vocabulary, vocabulary.with_blank_end(7).with_added(["b"])):
        sent = pickle.loads(pickle.dumps(one))
        assert (sent, sent.ids, sent.piece_ids, sent.blank_end) == (one, one.ids, one.piece_ids, one.blank_end)
        assert sent.sha256() == one.sha256()
