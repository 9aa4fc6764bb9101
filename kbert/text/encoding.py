"""What a tokenizer makes of a text or a pair."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class Encoding:
    """What a tokenizer makes of a text or a pair. All lists have one entry a token."""

    ids: list[int]
    tokens: list[str]
    offsets: list[tuple[int, int]]
    """(start, end) in characters of the text that the token comes from; (0, 0) for special tokens."""
    type_ids: list[int]
    """0 for the first text, 1 for the second."""
    attention_mask: list[int]
    """1 for tokens, 0 for padding."""
    special_tokens_mask: list[int]
    """1 for [CLS], [SEP] and [PAD] that stand around the texts, 0 for tokens of the texts."""
    window: int = 0
    """Which part of a long text this is, from 0."""
    window_count: int = 1
    """How many parts there are."""
    window_start: int = 0
    """How many tokens of the text that slides stand before this part."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def sequence_ids(self) -> list[int | None]:
        """The text that each token comes from, 0 or 1; None for special tokens."""
        return [
            None if special else type_id
            for type_id, special in zip(self.type_ids, self.special_tokens_mask, strict=True)
        ]
