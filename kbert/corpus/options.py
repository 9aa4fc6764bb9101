"""The options of building a corpus."""

from __future__ import annotations

import dataclasses

from kbert import files
from kbert.beam.options import RunnerOptions
from kbert.corpus.pairs import OBJECTIVES
from kbert.corpus.sentences import LANGUAGES, MODES
from kbert.options import option, option_error, with_documented_fields
from kbert.sources.settings import SourceSettings
from kbert.text.tokenizer import Tokenizer

MASKINGS = ("dynamic", "static")
FEATURE_NAMES = ("tf-hub", "original")
COMPRESSIONS = ("gzip", "none")


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class BuildCorpusOptions(SourceSettings, RunnerOptions):
    """The options of `kbert.build_corpus`: how text is read, and the records.

    Example:
        >>> options = kbert.BuildCorpusOptions(vocab="vocab.txt", output="corpus", sequence_length=64)
        >>> options.objective, options.mask_probability
        ('nsp', 0.15)
        >>> options.replace(sequence_length=4)
        Traceback (most recent call last):
            ...
        kbert.options.errors.OptionError: sequence_length must be at least 8. Received: sequence_length=4
    """

    vocab: files.PathLike | Tokenizer = option(
        help="The vocabulary: a vocab.txt, a tokenizer.json, or a folder with a tokenizer.",
        details="A tokenizer.json, and folders of a model, of a corpus and of `kbert vocab train` hold all settings of "
        "the tokenizer. In Python this can also be a tokenizer.",
        path="vocabulary",
    )
    output: files.PathLike = option(help="The folder to write, which must be new or empty.", path="output-folder")
    sequence_length: int = option(
        128, "The maximum length of an example in tokens, including special tokens.", minimum=8
    )
    objective: str = option(
        "nsp",
        "The second texts. nsp: half of them come from another document (next sentence prediction); sop: half of the "
        "pairs are swapped (sentence order prediction); none: examples are one text of whole sentences.",
        choices=OBJECTIVES,
    )
    max_predictions: int | None = option(
        None,
        "The maximum number of masked tokens in an example.",
        default_help="`mask_probability` times `sequence_length`, rounded up",
        minimum=1,
    )
    masking: str = option(
        "dynamic",
        "dynamic: training draws new masks in each epoch; static: masks are written into the records, as the original "
        "create_pretraining_data.py does.",
        choices=MASKINGS,
    )
    mask_probability: float = option(0.15, "The fraction of the tokens that is masked.", above=0, below=1)
    whole_words: bool = option(False, "Mask all pieces of a word, or none of them.")
    spans: bool = option(False, "Mask spans of whole words, as SpanBERT does.")
    word_list: files.PathLike | None = option(
        None,
        "A file of Chinese words, one per line, which `whole_words` and `spans` mask as a whole.",
        path="file",
    )
    short_probability: float = option(
        0.1, "The fraction of the documents whose examples get a random, shorter target length.", minimum=0, maximum=1
    )
    duplicates: int = option(1, "The number of passes over the text, each with other pairs.", minimum=1)
    cased: bool = option(False, "Keep case and accents if `vocab` is a vocab.txt; others have their own setting.")
    strip_accents: bool | None = option(
        None,
        "Strip or keep accents, and with them the vowel signs of many scripts, if `vocab` is a vocab.txt.",
        default_help="keep with `cased`",
        off_flag="--keep-accents",
    )
    sentences: str = option("split", "split: lines are split into sentences; lines: each line is a sentence.",
                            choices=MODES)  # fmt: skip
    language: str = option(
        "auto",
        "The language whose rules split lines into sentences; auto detects it for each document.",
        choices=LANGUAGES,
    )
    mask_pii: bool = option(
        False,
        "Replace personal data, such as e-mail addresses and telephone numbers, by placeholders such as [EMAIL].",
        details="The detectors are those of `kbert mask-pii`. Messages then show no words of the text.",
    )
    feature_names: str = option(
        "tf-hub",
        "The feature names in static records. tf-hub writes input_word_ids; original writes input_ids, which the "
        "original release and the Model Garden read.",
        choices=FEATURE_NAMES,
    )
    compression: str = option(
        "gzip", "The compression of the shards; most other programs expect none.", choices=COMPRESSIONS
    )
    resume: bool = option(
        False,
        "Continue the unfinished corpus in `output` after its last shard, or start it if there is none.",
    )
    workers: int = option(1, "The number of processes. The records do not depend on it.", minimum=1)
    seed: int = option(0, "Seeds the choice of pairs and of short examples, and static masks.", minimum=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.word_list is not None and not (self.whole_words or self.spans):
            raise option_error(
                lambda spell: (
                    f"{spell('word_list')} has no effect without whole-word masking; add {spell('whole_words')} or "
                    f"{spell('spans')}"
                )
            )
        if self.feature_names == "original" and self.masking != "static":
            raise option_error(
                lambda spell: (
                    f"{spell('feature_names', 'original')} needs {spell('masking', 'static')}, as the original release "
                    f"reads masked ids. Received: {spell('masking', self.masking)}"
                )
            )
        if self.max_predictions is not None and self.max_predictions > self.sequence_length:
            raise option_error(
                lambda spell: (
                    f"{spell('max_predictions')} must be at most {spell('sequence_length')}. Received: "
                    f"{spell('max_predictions', self.max_predictions)}, "
                    f"{spell('sequence_length', self.sequence_length)}"
                )
            )
