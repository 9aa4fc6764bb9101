import pytest

from kbert import files
from kbert.errors import UsageError


def test_new_and_empty_folders(tmp_path):
    assert files.check_new_folder(tmp_path / "new") == tmp_path / "new"
    assert not (tmp_path / "new").exists()
    assert files.check_new_folder(str(tmp_path)) == tmp_path


def test_other_folders(tmp_path):
    (tmp_path / "b.txt").touch()
    (tmp_path / "a.txt").touch()
    with pytest.raises(
        UsageError, match=r"^--output must be a new or empty folder\. Received: .*, which holds a\.txt$"
    ):
        files.check_new_folder(tmp_path)
    with pytest.raises(
        UsageError, match=r"^--output must be a new or empty folder, or a run\. .*, which holds b\.txt$"
    ):
        files.check_new_folder(tmp_path, ignored=lambda name: name == "a.txt", alternative=", or a run")
    assert files.check_new_folder(tmp_path, ignored=lambda name: name.endswith(".txt")) == tmp_path
    with pytest.raises(UsageError, match=r", which is a file$"):
        files.check_new_folder(tmp_path / "a.txt")
