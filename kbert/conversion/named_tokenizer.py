"""The tokenizer that `--vocab` names for a conversion, if it is more than a vocab.txt."""

from __future__ import annotations

from pathlib import Path

from kbert.conversion.settings import ConversionSettings
from kbert.errors import BundleError, UsageError
from kbert.model_folder.tokenizer import tokenizer_from
from kbert.text.tokenizer import Tokenizer
from kbert.text.tokenizer_files.reading import is_tokenizer_file
from kbert.text.vocabulary import Vocabulary


def named_tokenizer(size: int, options: ConversionSettings) -> Tokenizer | None:
    """Returns the tokenizer of a tokenizer.json or of a folder, with its settings; None if `options` names no such.

    Args:
        size: The number of tokens of the model.
        options: The options of the conversion.

    Raises:
        UsageError: `options` also says whether the model is cased, which these files say themselves.
        BundleError: The files are damaged, or there are more tokens than the model has.
    """
    path = options.vocab
    if path is None or not (path.is_dir() or is_tokenizer_file(path)):
        return None
    if options.lowercase is not None:
        given = "--uncased" if options.lowercase else "--cased"
        raise UsageError(f"{path} has its own settings for case and accents. Received: {given}; leave it out")
    tokenizer = tokenizer_from(path)
    check_size(tokenizer.vocabulary, size, path, options)
    return tokenizer


def check_size(vocabulary: Vocabulary, size: int, path: Path, options: ConversionSettings) -> None:
    """Checks that a model has all tokens of a vocabulary, and notes if it has more.

    Raises:
        BundleError: The vocabulary is larger.
    """
    if len(vocabulary) > size:
        raise BundleError(f"{path}: expected at most the {size} tokens that the model has. Received: {len(vocabulary)}")
    if len(vocabulary) < size:
        options.notes.append(
            f"{path} has {len(vocabulary)} tokens and the model {size}: the last embeddings are never used"
        )
