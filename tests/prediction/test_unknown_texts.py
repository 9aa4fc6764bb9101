import pytest
from click.testing import CliRunner

from kbert.cli.main import main
from kbert.prediction.loading import load
from kbert.prediction.unknown_texts import UnknownTexts

MESSAGE = (
    "2 of 3 texts have more than half of their words outside the vocabulary ([UNK]), so the answers to them say little"
)


@pytest.fixture(scope="module")
def loaded(classifier):
    return load(classifier)


def test_texts_of_unknown_words_are_counted(loaded):
    unknown = UnknownTexts(loaded)
    # Pieces that continue a word count with it, and half of the words is not more than half.
    unknown.add([{"text": text} for text in ("the xyz", "xyz xyz the", "unaffable xyz", "", "xyz")])
    assert (unknown.count, unknown.total) == (2, 5)


def test_a_pair_is_one_text(pair_classifier):
    unknown = UnknownTexts(load(pair_classifier))
    unknown.add([{"text": "xyz xyz", "pair": "the cat"}, {"text": "xyz xyz", "pair": "the"}])
    assert (unknown.count, unknown.total) == (1, 2)


def test_the_count_is_logged_once(loaded, logged):
    unknown = UnknownTexts(loaded)
    rows = [{"text": "xyz"}, {"text": "the cat"}, {"text": "xyz abc"}]
    assert list(unknown.watch(rows)) == rows
    assert [line for line in logged() if "vocabulary" in line] == [MESSAGE]


@pytest.mark.long
def test_the_commands(classifier, tmp_path):
    done = CliRunner().invoke(main, ["predict", str(classifier), "xyz", "the cat", "xyz abc"])
    assert done.exit_code == 0
    assert done.stderr.count("vocabulary") == 1
    assert MESSAGE in done.stderr
    assert len(done.stdout.splitlines()) == 3
    path = tmp_path / "texts.txt"
    path.write_text("xyz\nthe cat\nxyz abc\n")
    done = CliRunner().invoke(
        main, ["predict", str(classifier), "--input", str(path), "--output", str(tmp_path / "answers.txt")]
    )
    assert MESSAGE in done.stderr
    done = CliRunner().invoke(main, ["predict", str(classifier), "the cat"])
    assert "vocabulary" not in done.stderr
