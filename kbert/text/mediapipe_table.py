"""MediaPipe's normalization before WordPiece, as a table: code point → replacement string.

MediaPipe Tasks and the TensorFlow Lite Task Library lower-case the letters A to Z, split text at white space,
punctuation and CJK ideographs by a regular expression of RE2, and keep everything else. So accents, other capitals,
control characters and other spaces stay parts of words. A text ends before its first NUL, as a C string does.
"""

from __future__ import annotations

from kbert.text.replacement_table import SPACE, ReplacementTable, is_cjk, is_punctuation

_WHITE_SPACE = frozenset("\t\n\f\r ")
"""The characters that \\s of RE2 matches; U+000B is not one of them."""
_DELETE = "\x7f"
"""The only control character that BERT counts as punctuation, and MediaPipe does not."""

_NEWER_PUNCTUATION = frozenset(
    code_point
    for first, last in (
        (0x1B4E, 0x1B4F),
        (0x1B7F, 0x1B7F),
        (0x10D6E, 0x10D6E),
        (0x10ED0, 0x10ED0),
        (0x113D4, 0x113D5),
        (0x113D7, 0x113D8),
        (0x11B00, 0x11B09),
        (0x11BE1, 0x11BE1),
        (0x11F43, 0x11F4F),
        (0x16D6D, 0x16D6F),
        (0x1E5FF, 0x1E5FF),
    )
    for code_point in range(first, last + 1)
)
"""The punctuation of Unicode 15 and 16, which RE2 in MediaPipe 1.2.3 knows, and Python 3.10 to 3.13 in part or not."""


class MediaPipeTable(ReplacementTable):
    """Maps a code point to its normalized text as MediaPipe does, for `str.translate`.

    Example:
        >>> "Kandó's CAFÉ".translate(MediaPipeTable())
        "kandó ' s cafÉ"
    """

    def __init__(self) -> None:
        super().__init__(lowercase=True, strip_accents=False)
        self.final_sigmas = False
        self.ends_at_nul = True
        self.keeps_other_spaces = True
        self.newer_punctuation = _NEWER_PUNCTUATION

    def _replacement(self, character: str) -> str:
        if character == "\0":
            return ""  # tokens that are found as a whole are hidden with it
        if character in _WHITE_SPACE:
            return SPACE
        is_mark = is_punctuation(character) and character != _DELETE
        if is_mark or ord(character) in _NEWER_PUNCTUATION or is_cjk(ord(character)):
            return f" {character} "
        return character.lower() if character.isascii() else character
