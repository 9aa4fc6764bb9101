"""All code in the pages is in blocks that name their language, so that no code escapes the tests."""

import re

import pytest
from documentation.blocks import PAGES, SITE, Block, Command, blocks_of, commands_of, name_of, prose_of

LANGUAGES = {"sh", "python", "text", "json", "toml"}
"""Blocks in sh and python are run; the others are outputs, files, and programs of other libraries."""


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_block_names_its_language(path):
    for block in blocks_of(path):
        assert block.language in LANGUAGES, block
    assert "```" not in prose_of(path), "a block is not closed"


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_no_code_is_only_indented(path):
    is_item = False
    before = ""
    for line in prose_of(path).splitlines():
        if re.match(r"([-*]|\d+\.) ", line):
            is_item = True
        elif line and not line.startswith(" "):
            is_item = False
        indent = len(line) - len(line.lstrip(" "))
        assert before or not line or indent < (7 if is_item else 4), line
        before = line


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_commands_are_in_blocks_of_sh(path):
    for block in blocks_of(path):
        if block.language not in ("sh", "python"):
            assert not re.search(r"^(kbert|curl|pip|docker|python -m apps\S*|tox) ", block.code, re.MULTILINE), block


def test_the_commands_of_a_block():
    code = "a 'b c' \\\n    --d  # why\n# a comment\n\nX_Y=\"1 2\" e && f > g.json\npython -m h.i 'j'\nk 'l > m' # n\n"
    assert commands_of(Block("page.md", 10, "sh", code)) == [
        Command("page.md", 10, ("a", "b c", "--d")),
        Command("page.md", 14, ("e",)),
        Command("page.md", 14, ("f",), "g.json"),
        Command("page.md", 15, ("python", "-m", "h.i", "j")),
        Command("page.md", 16, ("k", "l > m")),
    ]
    assert Command("", 1, ("python", "-m", "h.i", "j")).program == "python -m h.i"


def test_the_blocks_of_a_page(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("# A\n\n```sh\nb\n```\n\n1. c\n\n   ```text\n   d\n     e\n   ```\n")
    monkeypatch.setattr("documentation.blocks.REPOSITORY", tmp_path)
    assert blocks_of(page) == [Block("page.md", 4, "sh", "b\n"), Block("page.md", 10, "text", "d\n  e\n")]
    assert prose_of(page) == "# A\n\n\n\n1. c\n\n\n"


def test_pages_are_found():
    names = {name_of(path) for path in PAGES}
    assert {"README.md", "docs/tasks.md", "docs/zh/index.md", "apps/serve/README.md", "CONTRIBUTING.md"} <= names
    assert not any("site-packages" in name for name in names)
    site = {name_of(path) for path in SITE}
    assert {"README.md", "docs/tasks.md", "docs/migration/tf-hub.md"} <= site < names
    assert not any(name.startswith(("docs/zh/", "apps/")) for name in site)
