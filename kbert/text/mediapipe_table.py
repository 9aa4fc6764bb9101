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

    def _replacement(self, character: str) -> str:
        if character == "\0":
            return ""  # tokens that are found as a whole are hidden with it
        if character in _WHITE_SPACE:
            return SPACE
        if is_cjk(ord(character)) or (is_punctuation(character) and character != _DELETE):
            return f" {character} "
        return character.lower() if character.isascii() else character
