import os

import pytest

from kbert import files
from kbert.errors import ConfigError


def test_json_comes_back_in_its_order(tmp_path):
    value = {"b": [1, 2.5, None], "a": "Straße"}
    files.write_json(tmp_path / "x.json", value)
    assert (tmp_path / "x.json").read_text(encoding="utf-8").index('"b"') == 4
    assert list(files.read_json(tmp_path / "x.json", ConfigError).items()) == list(value.items())


@pytest.mark.parametrize("content", [b"{", b"", b'"\xff"', b"[" * 200_000])
def test_what_is_not_json_is_said(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"x\.json is not JSON"):
        files.read_json(tmp_path / "x.json", ConfigError)


@pytest.mark.parametrize("path", ["absent.json", "file/absent.json"])
def test_missing_json_is_said(tmp_path, path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"absent\.json is missing"):
        files.read_json(tmp_path / path, ConfigError)


def test_the_name_of_a_file_in_another_encoding(tmp_path):
    name = os.fsdecode(b"caf\xe9.txt")
    files.write_json(tmp_path / "x.json", {"path": name})
    assert files.read_json(tmp_path / "x.json", ConfigError) == {"path": name}
    assert (tmp_path / "x.json").read_bytes() == b'{\n  "path": "caf\\udce9.txt"\n}\n'
