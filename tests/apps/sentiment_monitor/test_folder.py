import os

from apps.sentiment_monitor.sources.file import FileSource
from apps.sentiment_monitor.sources.folder import FolderSource

NOW = 2_000_000_000.0


class States(dict):
    """The states in memory, as the store keeps them."""

    state = dict.get


def read_all(source, states, now=NOW):
    texts, problems = [], []
    while True:
        batch = source.poll(states, now)
        states.update(batch.states)
        texts += [headline.text for headline in batch.headlines]
        problems += batch.problems
        if not batch.more:
            return texts, problems


def write(path, data, mode="wb"):
    with open(path, mode) as file:
        file.write(data)
    os.utime(path, (NOW, NOW))


def test_new_files_and_appended_lines(tmp_path):
    source, states = FolderSource(tmp_path), States()
    assert read_all(source, states) == ([], [])
    write(tmp_path / "b.txt", b"one\n")
    write(tmp_path / "a.csv", b"text\ntwo\n")
    write(tmp_path / ".hidden.txt", b"not yet\n")
    write(tmp_path / "image.png", b"\x89PNG")
    assert read_all(source, states)[0] == ["two", "one"]
    assert read_all(source, states)[0] == []
    write(tmp_path / "a.csv", b"three\nfo", "ab")
    assert read_all(source, states)[0] == ["three"]
    write(tmp_path / "a.csv", b"ur\n", "ab")
    assert read_all(source, states)[0] == ["four"]


def test_a_last_line_is_complete_when_the_file_rests(tmp_path):
    source, states = FolderSource(tmp_path), States()
    write(tmp_path / "a.txt", b"one")
    assert read_all(source, states, NOW + 5)[0] == []
    assert read_all(source, states, NOW + 11)[0] == ["one"]


def test_a_file_that_was_replaced_is_read_from_its_beginning(tmp_path):
    path, states = tmp_path / "a.txt", States()
    source = FileSource(path)
    write(path, b"one\ntwo\n")
    assert read_all(source, states)[0] == ["one", "two"]
    write(path, b"three\n")
    assert read_all(source, states)[0] == ["three"]
    write(path, b"other and longer\n")
    assert read_all(source, states)[0] == ["other and longer"]


def test_many_rows_come_in_parts(tmp_path):
    states = States()
    write(tmp_path / "a.txt", b"".join(b"%d\n" % number for number in range(1000)))
    first = FolderSource(tmp_path).poll(states, NOW)
    assert (len(first.headlines), first.more) == (256, True)
    states.update(first.states)
    assert read_all(FolderSource(tmp_path), states)[0] == [str(number) for number in range(256, 1000)]


def test_a_file_that_is_gone(tmp_path):
    (problem,) = FileSource(tmp_path / "none.txt").poll(States(), NOW).problems
    assert problem.message == "expected a file that can be read. Received: No such file or directory"
    (problem,) = FolderSource(tmp_path / "none").poll(States(), NOW).problems
    assert problem.message == "expected a folder that can be read. Received: No such file or directory"
