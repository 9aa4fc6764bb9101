"""The links between the pages of the documentation lead to files and headings that exist."""

import re
import string
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1]
PAGES = [
    path
    for path in sorted(FOLDER.rglob("*.md"))
    if not {"tests", "build", "node_modules"} & set(path.relative_to(FOLDER).parts)
    and not any(part.startswith(".") for part in path.relative_to(FOLDER).parts)
]


def without_code(text):
    return re.sub(r"`[^`\n]*`", "", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def anchors(text):
    """The anchors that GitHub makes from headings: lower case, without punctuation, with hyphens for spaces."""
    headings = re.findall(r"^#+ +(.*?)\s*$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    punctuation = string.punctuation.replace("-", "").replace("_", "") + "…–"
    found = []
    for heading in headings:
        words = re.sub(r"\[([^]]*)]\([^)]*\)", r"\1", heading).lower()
        anchor = words.translate(str.maketrans("", "", punctuation)).replace(" ", "-")
        repeats = sum(each == anchor or re.fullmatch(rf"{re.escape(anchor)}-\d+", each) is not None for each in found)
        found.append(f"{anchor}-{repeats}" if repeats else anchor)
    return found


def broken_links(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):  # another site
            continue
        file, _, anchor = target.partition("#")
        path = page.parent / file if file else page
        if not path.exists() or (anchor and anchor not in anchors(path.read_text(encoding="utf-8"))):
            yield target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(FOLDER)))
def test_links_lead_somewhere(page):
    assert list(broken_links(page)) == []


def test_headings_have_their_own_anchors():
    text = "# A `page`, and more\n## Input files\n```\n# no heading\n```\n## Input files\n"
    assert anchors(text) == ["a-page-and-more", "input-files", "input-files-1"]
    assert not [page for page in PAGES if re.search(r"<a (id|name)=", page.read_text(encoding="utf-8"))]


def test_a_broken_link_is_found(tmp_path):
    (tmp_path / "other.md").write_text("# Other\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Page\n[a](other.md#other) [b](#page) [c](https://x.y/#z) `[d](none.md)` [e](none.md) [f](other.md#page)\n"
    )
    assert list(broken_links(page)) == ["none.md", "other.md#page"]
