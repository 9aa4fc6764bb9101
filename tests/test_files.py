import bz2
import gzip
import lzma
import os
import stat

import pytest

from kbert import files
from kbert.errors import ConfigError, DataError, UsageError


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
    with pytest.raises(UsageError, match=r"expected a folder with files\. Received one without"):
        files.expand_inputs([tmp_path])


COMPRESSIONS = {"": bytes, ".gz": gzip.compress, ".BZ2": bz2.compress, ".xz": lzma.compress}


@pytest.mark.parametrize("suffix", COMPRESSIONS)
def test_lines(tmp_path, suffix):
    path = tmp_path / f"text.txt{suffix}"
    # Only LF ends a line; U+2028, U+0085 and a form feed do not. A byte order mark goes at the start alone.
    text = "\ufeffone\r\ntwo\u2028\x85\x0c2\n\n\ufefflast"
    path.write_bytes(COMPRESSIONS[suffix](text.encode()))
    assert list(files.read_lines(path)) == ["one", "two\u2028\x85\x0c2", "", "\ufefflast"]


def test_zst_lines_or_what_to_install(tmp_path):
    path = tmp_path / "text.zst"
    try:
        import zstandard
    except ImportError:
        path.write_bytes(b"")
        with pytest.raises(UsageError, match=r"pip install 'kbert\[zstd\]'"):
            list(files.read_lines(path))
    else:
        path.write_bytes(zstandard.compress(b"one\ntwo\n"))
        assert list(files.read_lines(path)) == ["one", "two"]


@pytest.mark.parametrize(("mark", "offset"), [(b"", 10), (b"\xef\xbb\xbf", 13)])
def test_bad_utf8_is_located(tmp_path, mark, offset):
    path = tmp_path / "latin1.txt"
    path.write_bytes(mark + b"the cat\r\nc\xe9t\xe9\n")
    with pytest.raises(DataError) as caught:
        list(files.read_lines(path))
    assert (caught.value.path, caught.value.line) == (str(path), 2)
    assert f"byte 0xe9 at byte offset {offset};" in str(caught.value)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert path.read_bytes()[offset] == 0xE9


def test_other_encodings(tmp_path):
    (tmp_path / "x").write_bytes(b"\xe9t\xe9\n")
    assert list(files.read_lines(tmp_path / "x", encoding="latin-1")) == ["été"]


@pytest.mark.parametrize(
    ("content", "received"),
    [
        ("text\n".encode("utf-16"), "UTF-16, as the file's byte order mark says; convert it: iconv -f UTF-16"),
        ("text\n".encode("utf-32"), "UTF-32, as the"),
        (b"\xfe\xff" + "text\n".encode("utf-16-be"), "UTF-16, as the"),
        ("text and more\n".encode("utf-16-le"), "bytes of which many are 0: UTF-16 without"),
        # Without its time: the bytes are part of the test's name, which every worker of xdist must find the same.
        (gzip.compress(bytes(10_000), mtime=0), r"a gzip file; let its name end in \.gz"),
        (b"PK\x03\x04" + bytes(range(256)), "a zip file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "something that is no text"),
    ],
)
def test_what_is_no_text_is_named(tmp_path, content, received):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match=f"x: expected utf-8 text. Received {received}"):
        list(files.read_line_blocks(tmp_path / "x", on_invalid=lambda error: None))


def test_lines_of_old_macs_are_refused(tmp_path):
    (tmp_path / "x").write_bytes(b"text,label\rgood,1\r")
    with pytest.raises(
        DataError, match=r"x: expected lines that end with LF or CR LF. Received CR alone.*tr '\\r' '\\n'"
    ):
        list(files.read_lines(tmp_path / "x"))
    (tmp_path / "x").write_bytes(b"one line\r")
    assert list(files.read_lines(tmp_path / "x")) == ["one line"]


@pytest.mark.parametrize("text", ["a\x00b\x07\n", "\x1b[1mcolours\x1b[0m\n" * 9, "\t\t\t\f\n" * 9])
def test_text_with_some_control_characters_is_text(tmp_path, text):
    (tmp_path / "x").write_text(text)
    assert list(files.read_lines(tmp_path / "x")) == text.split("\n")[:-1]


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


@pytest.mark.parametrize("block", [1, 7, 1 << 20])
def test_lines_that_do_not_decode_are_told_of(tmp_path, monkeypatch, block):
    """With their numbers and offsets, however the file is cut while it is read."""
    monkeypatch.setattr(files, "_BLOCK_SIZE", block)
    path = tmp_path / "x.txt"
    path.write_bytes(b"\xef\xbb\xbfone\nb\xffad\n\ntwo\r\n\xfe\nthree")
    told = []
    found = [
        (first + place, line)
        for first, lines in files.read_line_blocks(path, on_invalid=told.append, advice="do this")
        for place, line in enumerate(lines)
    ]
    assert found == [(1, "one"), (3, ""), (4, "two"), (6, "three")]
    assert [error.line for error in told] == [2, 5]
    assert "byte 0xff at byte offset 8; do this" in str(told[0])
    assert "byte 0xfe at byte offset 18; do this" in str(told[1])


def test_a_line_too_long_to_hold_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LONGEST_LINE", 1 << 20)
    monkeypatch.setattr(files, "_BLOCK_SIZE", 1 << 10)
    path = tmp_path / "x.txt"
    path.write_bytes(b"fine\n" + b"\0" * (1 << 21))
    lines = files.read_lines(path)
    assert next(lines) == "fine"
    with pytest.raises(DataError, match=r"x\.txt: expected lines of at most 1 MiB"):
        next(lines)
