"""The result of tokenizing a text or a pair of texts."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class Encoding:
    """The tokens of a text or a pair of texts. All lists have one entry per token."""

    ids: list[int]
    tokens: list[str]
    offsets: list[tuple[int, int]]
    """The (start, end) of each token in its text, in characters; (0, 0) for special tokens."""
    type_ids: list[int]
    """0 for tokens of the first text, 1 for tokens of the second."""
    attention_mask: list[int]
    """1 for tokens, 0 for padding."""
    special_tokens_mask: list[int]
    """1 for [CLS], [SEP] and [PAD] around the texts, 0 for tokens of the texts."""
    window: int = 0
    """The 0-based number of this window of a long text."""
    window_count: int = 1
    """The number of windows of the text."""
    window_start: int = 0
    """The number of tokens of the split text before this window."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def sequence_ids(self) -> list[int | None]:
        """The index of the text that each token comes from, 0 or 1; None for special tokens."""
        return [
            None if special else type_id
            for type_id, special in zip(self.type_ids, self.special_tokens_mask, strict=True)
        ]
