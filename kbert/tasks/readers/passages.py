"""The texts of passages that are objects with a title, as in MIRACL and Mr. TyDi."""

from __future__ import annotations

from typing import Any


def passage_text(value: Any) -> Any:
    r"""Returns the text of a passage, after its title if it has one, from an object; other values as they are.

    Example:
        >>> passage_text({"docid": "7", "title": "Cats", "text": "They sleep."}), passage_text("Dogs bark.")
        ('Cats\nThey sleep.', 'Dogs bark.')
    """
    if not isinstance(value, dict) or not isinstance(value.get("text"), str):
        return value
    return f"{value['title']}\n{value['text']}" if value.get("title") else value["text"]
