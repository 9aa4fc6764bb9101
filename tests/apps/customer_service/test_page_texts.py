"""The texts of the page: both languages have all of them, and the page names no other."""

import re
from pathlib import Path

import apps.customer_service

PAGE = Path(apps.customer_service.__file__).with_name("page")


def test_both_languages_have_all_texts():
    script = (PAGE / "texts.js").read_text(encoding="utf-8")
    english, chinese = (set(re.findall(r"^    (\w+): ", block, re.MULTILINE)) for block in script.split("zh: {", 1))
    assert english == chinese
    sources = (PAGE / "chat.js").read_text(encoding="utf-8") + (PAGE / "index.html").read_text(encoding="utf-8")
    named = set(re.findall(r'(?:data-text|data-label)(?:="|": ")(\w+)"', sources))
    named |= set(re.findall(r'\btext\((?:\w+ \? )?"(\w+)"', sources))
    assert named <= english
    assert len(named) > 20


def test_the_page_loads_nothing_from_elsewhere():
    for path in PAGE.iterdir():
        found = re.findall(
            r"""(?:src|href|url|import|from)\s*[=(]?\s*["'](?:https?:)?//""", path.read_text(encoding="utf-8")
        )
        assert found == [], path.name
