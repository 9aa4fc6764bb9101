import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbert.sources import duplicates
from kbert.sources.settings import SourceSettings
from kbert.sources.source import Source


def read(path, deduplicate):
    source = Source([path], SourceSettings(deduplicate=deduplicate))
    return [found.lines for found in source.documents()], dict(source.counts)


def test_the_first_of_equal_documents_stays(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a\nb\n\nc\n\na\nb\n\na b\n\nc\n\nc")
    assert read(path, "document") == ([("a", "b"), ("c",), ("a b",)], {"duplicate_documents": 3})


def test_the_first_of_equal_lines_stays(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a\né\na\n\nc\n\na\nb\n\nc\na\n\nd")
    assert read(path, "line") == ([("a", "é"), ("c",), ("b",), ("d",)], {"duplicate_lines": 4})
    first = next(Source([path], SourceSettings(deduplicate="line")).documents())
    assert (first.line, first.size) == (1, 5)


def test_nothing_at_all(tmp_path):
    (tmp_path / "a.txt").write_text("\n")
    assert read(tmp_path, "line") == ([], {"duplicate_lines": 0})
    assert read(tmp_path, "document") == ([], {"duplicate_documents": 0})


def test_what_is_left_out_is_counted_once(tmp_path):
    """Though the text is gone through twice; and again when it is read again."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"a\n\xff\n\na\n")
    source = Source([path], SourceSettings(deduplicate="document", invalid_utf8="skip"))
    for _ in range(2):
        assert [found.lines for found in source.documents()] == [("a",)]
        assert source.counts == {"duplicate_documents": 1, "invalid_utf8": 1}


@pytest.mark.parametrize(("held", "block"), [(1, 1), (3, 2), (4, 100), (1000, 7)])
@settings(max_examples=30)
@given(words=st.lists(st.sampled_from("abcdefgh")))
def test_no_bound_of_memory_changes_what_stays(tmp_path_factory, held, block, words):
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_text("\n\n".join(words))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_HELD", held)
        patch.setattr(duplicates, "_BLOCK", block)
        found, counts = read(path, "document")
    assert [word for (word,) in found] == list(dict.fromkeys(words))
    assert counts == {"duplicate_documents": len(words) - len(found)}
