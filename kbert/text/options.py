"""The options of vocabulary training."""

from __future__ import annotations

import dataclasses

from kbert import files
from kbert.options import option, with_documented_fields
from kbert.sources.settings import SourceSettings


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainVocabularyOptions(SourceSettings):
    """The options of `kbert.train_vocabulary` and `kbert.train_tokenizer`: how text is read, and the vocabulary.

    Example:
        >>> options = kbert.TrainVocabularyOptions(size=8000, text_field="body")
        >>> options.replace(cased=True).cased, options.minimum_frequency
        (True, 2)
    """

    size: int = option(
        30_522,
        "The maximum number of entries.",
        details="There are fewer if the text has fewer pieces that occur `minimum_frequency` times.",
        minimum=5,
    )
    output: files.PathLike | None = option(
        None,
        "The .txt file to write; or a folder, which also stores how text is normalized.",
        default_help="to write nothing",
        path="output",
    )
    cased: bool = option(False, "Keep case and accents.")
    strip_accents: bool | None = option(
        None,
        "Strip or keep accents, and with them the vowel signs of many scripts.",
        default_help="keep with `cased`",
        off_flag="--keep-accents",
    )
    character_coverage: float = option(
        0.9995,
        "The fraction of the characters of the text, with repetitions, that get an entry.",
        details="Words with rarer characters become [UNK], so that rare signs do not fill the vocabulary "
        "(SentencePiece's rule, arXiv 1808.06226).",
        above=0,
        maximum=1,
    )
    minimum_frequency: int = option(2, "Words and pieces that occur less often get no entry.", minimum=1)
