import pytest

from kbert import files
from kbert.errors import UsageError


def test_inputs_are_files_folders_and_globs(tmp_path):
    for name in ("b.txt", "a.txt", "sub/c.txt", ".hidden", "sub/.git/d", "x[1].txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")

    def found(*inputs):
        return [p.relative_to(tmp_path).as_posix() for p in files.expand_inputs([tmp_path / i for i in inputs])]

    assert found("") == ["a.txt", "b.txt", "sub/c.txt", "x[1].txt"]
    assert found("b.txt", "*a.txt") == ["b.txt", "a.txt"]
    assert found("**/?.txt") == ["a.txt", "b.txt", "sub/c.txt"]
    assert found("x[1].txt") == ["x[1].txt"]
    assert found("s*") == ["sub/c.txt"]


@pytest.mark.parametrize("item", ["absent.txt", "*.csv"])
def test_an_input_that_names_no_file_is_refused(tmp_path, item):
    with pytest.raises(UsageError, match=r"no such file: .* Received: .*"):
        files.expand_inputs([tmp_path / item])


def test_a_folder_without_files_is_refused(tmp_path):
    (tmp_path / ".hidden").write_bytes(b"")
    with pytest.raises(
        UsageError, match=r"expected a folder with files\. Received: .*, which has none except hidden ones"
    ):
        files.expand_inputs([tmp_path])
