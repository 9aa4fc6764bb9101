import os
import stat

import pytest

from kbert import files


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_atomic_file_takes_its_place_at_the_end(tmp_path):
    target = tmp_path / "new" / "file"
    with files.atomic_file(target) as handle:
        handle.write(b"content")
        assert not target.exists()
    assert target.read_bytes() == b"content"
    assert names(target.parent) == ["file"]


@pytest.mark.parametrize("problem", [RuntimeError, KeyboardInterrupt])
def test_atomic_file_keeps_the_old_content_on_failure(tmp_path, problem):
    target = tmp_path / "file"
    target.write_bytes(b"old")

    def fail():
        with files.atomic_file(target) as handle:
            handle.write(b"half of the ne")
            raise problem

    with pytest.raises(problem):
        fail()
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_written_files_have_the_mode_of_plain_ones(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    (tmp_path / "plain_folder").mkdir()
    files.write_text(tmp_path / "atomic", "é")
    with files.atomic_directory(tmp_path / "atomic_folder"):
        pass

    def mode(name):
        return stat.S_IMODE(os.stat(tmp_path / name).st_mode)

    assert mode("atomic") == mode("plain")
    assert mode("atomic_folder") == mode("plain_folder")
    assert (tmp_path / "atomic").read_bytes() == "é".encode()


def test_atomic_directory_takes_its_name_at_the_end(tmp_path):
    target = tmp_path / "folder"
    with files.atomic_directory(target) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_bytes(b"content")
        assert not target.exists()
    assert (target / "sub" / "file").read_bytes() == b"content"
    assert names(tmp_path) == ["folder"]


def test_atomic_directory_leaves_nothing_on_failure(tmp_path):
    def fail():
        with files.atomic_directory(tmp_path / "folder") as folder:
            (folder / "file").write_bytes(b"content")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert names(tmp_path) == []


def test_atomic_directory_replaces_nothing(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"old")
    with pytest.raises(FileExistsError), files.atomic_directory(tmp_path / "folder"):
        pytest.fail("the block must not run")
    assert (tmp_path / "folder" / "file").read_bytes() == b"old"
    assert names(tmp_path) == ["folder"]


def test_a_pipe_gets_the_content_and_stays(tmp_path):
    target = tmp_path / "pipe"
    os.mkfifo(target)
    reader = os.open(target, os.O_RDONLY | os.O_NONBLOCK)
    try:
        files.write_text(target, "content")
        assert os.read(reader, 100) == b"content"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(os.stat(target).st_mode)
    assert names(tmp_path) == ["pipe"]


def test_a_symbolic_link_stays(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("there/file")
    files.write_text(tmp_path / "link", "new")
    assert os.readlink(tmp_path / "link") == "there/file"
    assert (tmp_path / "there" / "file").read_bytes() == b"new"
    assert names(tmp_path) == ["link", "there"]
