import pytest

from kbert import files
from kbert.errors import DataError

zstandard = pytest.importorskip("zstandard", reason="needs zstandard")


def test_all_frames_are_read(tmp_path):
    """A file made by `cat a.zst b.zst`, or by a compressor on several cores, has several."""
    path = tmp_path / "text.zst"
    path.write_bytes(b"".join(map(zstandard.compress, (b"one\nt", b"", b"wo\n" + b"x" * 300_000))))
    assert list(files.read_lines(path)) == ["one", "two", "x" * 300_000]


def test_an_empty_file(tmp_path):
    (tmp_path / "text.zst").write_bytes(b"")
    assert list(files.read_lines(tmp_path / "text.zst")) == []


def test_damage_is_said(tmp_path):
    path = tmp_path / "text.zst"
    whole = zstandard.ZstdCompressor(write_checksum=True).compress(bytes(range(32, 127)) * 5000)
    flipped = bytes(byte ^ 0x55 if place == len(whole) // 2 else byte for place, byte in enumerate(whole))
    for content in (b"not compressed", whole[:-1], whole[: len(whole) // 2], flipped, whole + b"\x00"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"text\.zst:1: the compressed file is damaged"):
            list(files.read_lines(path))
