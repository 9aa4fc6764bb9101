"""The options of the commands that convert models, extend or trim vocabularies, and merge adapters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from kbert import files
from kbert.conversion.settings import GELU_FORMS
from kbert.options import OptionInfo, Options, option, option_infos, with_documented_fields
from kbert.sources.settings import SourceSettings


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvertOptions(Options):
    """The options of `kbert.convert`.

    Example:
        >>> options = kbert.ConvertOptions(to="google", encoder_only=True)
        >>> options.from_ is None, options.to
        (True, 'google')
    """

    from_: str | None = option(
        None,
        "The format of the source; bundle is a model folder of kbert or Hugging Face Transformers.",
        details='"bundle", "google", "model-garden", "keras-hub", or the format of another package '
        "(docs/adding-a-format.md).",
        default_help="detected",
    )
    to: str | None = option(
        None,
        "The format of the destination; bundle is a model folder of kbert, which Transformers opens, too.",
        details='"bundle", "google", "keras-hub", or the format of another package. A bundle is converted only to a '
        "format that is named.",
        default_help="bundle",
    )
    gelu: str | None = option(
        None,
        "The form of GELU.",
        details="Google's bert_config.json does not specify it; the default is then \"erf\", as in Hugging Face's "
        "conversions.",
        default_help="as in the source",
        choices=tuple(GELU_FORMS),
    )
    cased: bool | None = option(
        None,
        "Whether the model keeps case and accents.",
        details="A vocabulary with capitals is cased.",
        default_help="as in the source, or as its vocabulary shows",
        off_flag="--uncased",
    )
    config: files.PathLike | None = option(
        None, "The bert_config.json, if it is not beside the checkpoint.", path="file"
    )
    vocab: files.PathLike | None = option(
        None,
        "The vocabulary, if it is not beside the checkpoint: a vocab.txt, a tokenizer.json, or a folder with a "
        "tokenizer.",
        details="The settings of a tokenizer.json or a folder take the place of those of the source.",
        path="vocabulary",
    )
    encoder_only: bool = option(False, "Convert the encoder without its heads.")


def convert_option_infos(readable: Sequence[str], writable: Sequence[str]) -> Mapping[str, OptionInfo]:
    """Returns the options of `convert` with the names of the formats that are installed.

    Args:
        readable: The formats that can be read.
        writable: The formats that can be written.
    """
    infos = dict(option_infos(ConvertOptions))
    for name, choices in (("from_", readable), ("to", writable)):
        infos[name] = dataclasses.replace(infos[name], choices=tuple(choices))
    return infos


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class ExtendVocabularyOptions(SourceSettings):
    """The options of `kbert.extend_vocabulary`: how text is read, and the words to add.

    Example:
        >>> options = kbert.ExtendVocabularyOptions(inputs=["domain.txt"], output="new", minimum_frequency=3)
        >>> options.add, options.use_unused
        (1000, False)
    """

    inputs: Sequence[files.PathLike] = option(
        help="A text file of the domain; can be repeated.",
        details="As in `build_corpus`, each can also be a folder, a glob or a dataset.",
        flag="--input",
        metavar="FILE",
    )
    add: int = option(1000, "The maximum number of words to add.", minimum=1)
    output: files.PathLike = option(help="The folder of the new model, which must be new or empty.",
                                    path="output-folder")  # fmt: skip
    use_unused: bool = option(False, "Replace the entries [unused0], [unused1] … first, before the vocabulary grows.")
    minimum_frequency: int = option(5, "Words that occur less often are not added.", minimum=1)


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class MergeAdapterOptions(Options):
    """The options of `kbert.merge_adapter`.

    Example:
        >>> kbert.MergeAdapterOptions(output="merged").base is None
        True
    """

    output: files.PathLike = option(help="The folder of the merged model, which must be new or empty.",
                                    path="output-folder")  # fmt: skip
    base: files.PathLike | None = option(
        None,
        "The base model of the adapter, if it is not where adapter_config.json says.",
        path="model",
    )


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class ExtractAdapterOptions(Options):
    """The options of `kbert.extract_adapter`.

    Example:
        >>> kbert.ExtractAdapterOptions(output="adapter").output
        'adapter'
    """

    output: files.PathLike = option(help="The folder of the copy, which must be new or empty.", path="output-folder")


CHARACTERS = ("scripts", "all", "used")
"""The values of `TrimVocabularyOptions.characters`."""


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class TrimVocabularyOptions(SourceSettings):
    """The options of `kbert.trim_vocabulary`: how text is read, and the tokens to keep.

    Example:
        >>> options = kbert.TrimVocabularyOptions(corpus=["reviews.txt"], output="small", characters="all")
        >>> options.minimum_frequency, options.characters
        (1, 'all')
    """

    corpus: Sequence[files.PathLike] = option(
        help="A text file that the model must tokenize as before; can be repeated.",
        details='As in `build_corpus`, each can also be a folder, a glob or a dataset. With `format` "text", all '
        "columns of a table are read.",
        metavar="FILE",
    )
    output: files.PathLike = option(help="The folder of the new model, which must be new or empty.",
                                    path="output-folder")  # fmt: skip
    minimum_frequency: int = option(
        1,
        "Tokens that the corpus uses less often are not kept; above 1, rare words of the corpus are split into more "
        "tokens than before.",
        minimum=1,
    )
    characters: str = option(
        "scripts",
        "The entries of a single character to keep in addition, with which words that are not in the corpus are split "
        "instead of becoming [UNK]: those of the scripts of the corpus, all, or only those that it uses.",
        choices=CHARACTERS,
    )
    keep: files.PathLike | None = option(
        None, "A text file of further entries, words or texts, one per line, whose tokens are kept.", path="file"
    )
    held_out: Sequence[files.PathLike] = option(
        (),
        "A text file that is not part of the corpus; can be repeated. The command reports the fraction of [UNK] in it, "
        "before and after.",
        metavar="FILE",
    )
