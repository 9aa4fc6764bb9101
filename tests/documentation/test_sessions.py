"""Every block of the site runs: the commands and the Python of a page one after the other, on tiny models and data."""

import shlex

import pytest
from documentation.blocks import SITE, Block, blocks_of, commands_of, name_of
from documentation.given import GIVEN, HUB, NAMES
from documentation.not_run import NOT_RUN
from documentation.session import SMALLER, Session, runs

WITH_BLOCKS = [path for path in SITE if any(map(runs, blocks_of(path)))]
TUTORIALS = {"docs/first-hour.md", "docs/keras-first-steps.md", "docs/python.md"}
"""Pages that test_tutorials.py runs, which also looks at the results."""


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.slow  # a page takes up to some minutes
@pytest.mark.parametrize("path", [path for path in WITH_BLOCKS if name_of(path) not in TUTORIALS], ids=name_of)
def test_a_page_runs(path, reader, small_presets):
    session = reader(name_of(path))
    for block in blocks_of(path):
        session.run(block)


def test_a_block_that_fails_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session = Session()
    with pytest.raises(AssertionError, match=r"(?s)page\.md:3: kbert inspect nothing\nexit code 2: .*does not exist"):
        session.run(Block("page.md", 3, "sh", "kbert inspect nothing\n"))
    with pytest.raises(NameError):
        session.run(Block("page.md", 3, "python", "unknown\n"))
    with pytest.raises(AssertionError, match="no way to run this program"):
        session.run(Block("page.md", 3, "sh", "unknown --option\n"))


# === The lists of exceptions and of given files are not longer than they must be ===


def test_pages_of_the_lists_have_blocks():
    assert TUTORIALS | set(GIVEN) | set(NAMES) <= {name_of(path) for path in WITH_BLOCKS}


def test_given_files_are_on_the_pages():
    pages = {name_of(path): path.read_text(encoding="utf-8") for path in WITH_BLOCKS}
    for page, files in GIVEN.items():
        for name in files:
            # Of a file in a folder, a page may name the folder; targets of parallel files are beside the texts.
            start = name if name.startswith(HUB) else name.partition("/")[0].removesuffix(".en")
            assert start in pages[page], (page, name)
    for page, names in NAMES.items():
        assert all(name in pages[page] for name in names), page


def test_code_that_is_not_run_is_on_the_pages():
    blocks = [block for path in SITE for block in blocks_of(path)]
    found = [(block.page, block.code) for block in blocks if block.language == "python"]
    commands = [command for block in blocks if block.language == "sh" for command in commands_of(block)]
    found += [(command.page, shlex.join(command.words)) for command in commands]
    for each in NOT_RUN:
        assert any(each.fits(*place) for place in found), each


def test_commands_that_are_made_smaller_are_on_the_pages():
    blocks = [block for path in SITE for block in blocks_of(path) if block.language == "sh"]
    lines = [shlex.join(command.words) for block in blocks for command in commands_of(block)]
    for name in SMALLER:
        assert any(line.startswith(f"kbert {name}") for line in lines), name
