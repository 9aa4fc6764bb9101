import bz2
import gzip
import lzma
import os

import pytest

from kbert import files
from kbert.errors import DataError

COMPRESSIONS = {"": bytes, ".gz": gzip.compress, ".BZ2": bz2.compress, ".xz": lzma.compress}


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
def test_damaged_compression_is_said(tmp_path, suffix):
    path = tmp_path / f"text{suffix}"
    whole = COMPRESSIONS[".BZ2" if suffix == ".bz2" else suffix](os.urandom(3000).hex().encode())
    flips = range(0, len(whole), len(whole) // 40)
    damaged = [bytes(b ^ 0x55 if i == at else b for i, b in enumerate(whole)) for at in flips]
    named = []
    for content in (b"not compressed", whole[: len(whole) // 2], *damaged):
        path.write_bytes(content)
        try:
            list(files.read_lines(path))
        except DataError as error:
            named.append(error.path)
    assert set(named) == {str(path)}
    assert len(named) >= 2 + len(damaged) * 0.9  # a flip in a header may change nothing that matters


def test_what_the_system_refuses_is_not_called_damaged(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(files.read_lines(tmp_path / "absent.gz"))
