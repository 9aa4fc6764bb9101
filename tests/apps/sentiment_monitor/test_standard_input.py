import os
import time

import pytest

from apps.sentiment_monitor.sources.standard_input import StandardInputSource


@pytest.fixture
def pipe():
    """The ends of a pipe: (to write, to read)."""
    read, write = os.pipe()
    with os.fdopen(write, "wb", buffering=0) as writer, os.fdopen(read, "rb") as reader:
        yield writer, reader


def poll_until(source, done):
    texts = []
    deadline = time.monotonic() + 10
    while not done(texts) and time.monotonic() < deadline:
        texts += [headline.text for headline in source.poll(None, 5.0).headlines]
        time.sleep(0.01)
    return texts


def test_lines_are_read_when_they_come(pipe):
    writer, reader = pipe
    source = StandardInputSource(reader)
    writer.write(b"one\ntw")
    assert poll_until(source, lambda texts: len(texts) == 1) == ["one"]
    writer.write(b"o\nthree")
    assert poll_until(source, lambda texts: len(texts) == 1) == ["two"]
    assert not source.ended
    writer.close()
    assert poll_until(source, lambda texts: len(texts) == 1) == ["three"]
    assert poll_until(source, lambda _: source.ended) == []


def test_a_table(pipe):
    writer, reader = pipe
    writer.write(b'text,source\n"a\nb",Wire\n')
    writer.close()
    source = StandardInputSource(reader, "csv")
    assert poll_until(source, lambda _: source.ended) == ["a b"]
