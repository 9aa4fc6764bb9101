"""The pages that readers follow step by step, run as they are, and compared with what they say."""

import pytest
from documentation.blocks import REPOSITORY, blocks_of, commands_of
from documentation.session import SMALLER

import kbert

DOCS = REPOSITORY / "docs"


def blocks(page, language):
    return [block.code for block in blocks_of(DOCS / page) if block.language == language]


@pytest.fixture
def whole(monkeypatch):
    """Commands run as the pages have them, with all of their steps."""
    monkeypatch.setattr("documentation.session.SMALLER", dict.fromkeys(SMALLER, ()))


def test_the_pages_in_chinese_have_the_same_programs_and_commands():
    for page in ("first-hour.md", "index.md"):
        for language in ("python", "sh"):
            assert blocks(f"zh/{page}", language) == blocks(page, language)


def test_the_beginning_of_the_first_hour_prints_what_the_page_says(reader, whole):
    session = reader("docs/first-hour.md")
    page = (DOCS / "first-hour.md").read_text(encoding="utf-8")
    until_corpus = page[: page.index("## 5.")].count("\n")
    for block in blocks_of(DOCS / "first-hour.md"):
        if block.line < until_corpus:
            session.run(block)
    assert len(session.printed) == 4
    for code, printed in session.printed.items():
        assert printed.strip(), code
        for line in printed.strip().splitlines():
            assert line.strip() in page, line
    for name, rows in {"train.csv": 241, "test.csv": 61}.items():
        with open(name, encoding="utf-8") as file:
            assert len(file.readlines()) == rows


@pytest.mark.slow
def test_the_first_hour_ends_with_a_good_classifier(reader, whole, tmp_path):
    session = reader("docs/first-hour.md")
    for block in blocks_of(DOCS / "first-hour.md"):
        session.run(block)
    (served,) = (answer for words, answer in session.printed.items() if words.startswith("curl "))
    assert served["predictions"][0]["label"] == "delivery"
    assert kbert.load("classifier").evaluate("test.csv")["accuracy"] == 1.0
    for name in ("classifier/report.html", "saved_models/requests/1/saved_model.pb", "requests.tflite"):
        assert (tmp_path / "here" / name).is_file()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_page_for_keras_runs_from_top_to_bottom(reader, tmp_path):
    session = reader("docs/keras-first-steps.md")
    for block in blocks_of(DOCS / "keras-first-steps.md"):
        session.run(block)
    assert session.names["history"].history["accuracy"][-1] > 0.9
    answer = kbert.load("films").predict(["a warm story"])[0]
    assert answer["label"] == "good"
    assert (tmp_path / "here" / "saved_models" / "films" / "1" / "saved_model.pb").is_file()


# Keras says so of every dataset that does not end in a shuffle.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_page_about_python(reader, small_presets, tmp_path):
    session = reader("docs/python.md")
    for block in blocks_of(DOCS / "python.md"):
        session.run(block)
    assert session.names["model"].count_params() == session.names["films"].count_params()
    assert (tmp_path / "here" / "epochs.csv").read_text().count("\n") == 4
    assert set(kbert.load("films").predict(["a fine film"])[0]["probabilities"]) == {"bad", "good"}


def test_commands_of_tutorials_are_found():
    commands = [
        each for block in blocks_of(DOCS / "first-hour.md") if block.language == "sh" for each in commands_of(block)
    ]
    assert len([command for command in commands if command.program == "kbert"]) > 10
