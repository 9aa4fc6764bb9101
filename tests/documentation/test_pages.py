"""The pages of docs/: the names in their Python, and the messages and figures that they quote."""

import ast
import functools
import re
from pathlib import Path

import pytest

import kbert

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


def name_of(path):
    return path.relative_to(REPOSITORY).as_posix()


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_python_uses_names_that_kbert_has(path):
    for block in re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "kbert":
                assert node.attr in (*kbert.__all__, "quickstart"), node.attr


@functools.lru_cache
def strings_of_the_code():
    """Returns all strings in the code of kbert; a place where a value is inserted is a NUL."""
    found = []
    for path in sorted((REPOSITORY / "kbert").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(part.value if isinstance(part, ast.Constant) else "\0" for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


@pytest.mark.long
def test_troubleshooting_quotes_messages_that_the_code_has():
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    messages = [message.strip("`") for message in re.findall(r"^### (`.*`)$", page, re.MULTILINE)]
    assert len(messages) > 30
    for message in messages:
        pattern = re.compile(".*".join(map(re.escape, message.split("…"))), re.DOTALL)
        assert any(map(pattern.search, strings_of_the_code())), message


def test_the_page_of_benchmarks_repeats_the_figures_of_other_pages():
    rows = re.findall(r"^\| ([^|]*) \| ([^|]*\d[^|]*) \| [^|]* \| ([\d-]+) \| \[.*\]\((\w+\.md)", *page_of_benchmarks())
    assert len(rows) > 10
    for what, result, _, page in rows:
        text = (DOCS / page).read_text(encoding="utf-8")
        numbers = re.findall(r"(?<![A-Za-z\w@.-])\d[\d,.]*\d|(?<![\w@.-])\d", result)
        for number in numbers:
            assert re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", text), f"{what}: {number}"


def page_of_benchmarks():
    return (DOCS / "benchmarks.md").read_text(encoding="utf-8"), re.MULTILINE
