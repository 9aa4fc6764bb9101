"""`kbert convert`: converts a model from one format to another, and checks the result."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from kbert import files
from kbert.conversion import heads, parity
from kbert.conversion.batches import random_batches
from kbert.conversion.command_options import ConvertOptions
from kbert.conversion.format import Format
from kbert.conversion.formats import BUNDLE, find_format, format_named
from kbert.conversion.settings import ConversionSettings
from kbert.errors import KbertError, ParityError, UsageError
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.hub import is_hub_name, resolve
from kbert.options import with_options
from kbert.text.settings import TokenizerSettings


@dataclasses.dataclass(frozen=True)
class Conversion:
    """The result of a conversion.

    Args:
        source_format: The name of the source's format, such as "google".
        destination_format: The name of the destination's format.
        architecture: The class name of the model in Transformers, such as "BertForMaskedLM".
        tensors: The number of converted tensors; each is bit-identical after the conversion.
        differences: The largest absolute difference of each output for random inputs, by output name.
        notes: Messages for the user, one line each.
    """

    source_format: str
    destination_format: str
    architecture: str
    tensors: int
    differences: dict[str, float]
    notes: tuple[str, ...]

    @property
    def largest_difference(self) -> float:
        """The largest absolute difference over all outputs."""
        return max(self.differences.values(), default=0.0)


@with_options(ConvertOptions)
def convert(source: files.PathLike, destination: files.PathLike, *, options: ConvertOptions) -> Conversion:
    """Converts a model to another format, and checks that it computes the same outputs.

    Args:
        source: A folder, a checkpoint's prefix, or "hf://owner/name".
        destination: The folder to create; it must not exist.
        options: All of these options in one object.

    Returns:
        The result, with the largest differences between the outputs of source and destination.

    Example:
        >>> done = kbert.convert("RUN", "google", to="google")
        >>> done.destination_format, done.largest_difference
        ('google', 0.0)

    Raises:
        UsageError: The source has no known format or has bottleneck adapters, the destination exists, or options
            contradict each other.
        BundleError: The source is incomplete or damaged, or its files contradict each other.
        ConfigError: The format of the destination does not support such a model.
        ParityError: The destination computes other outputs. Nothing is written then.
    """
    destination = Path(destination)
    if destination.exists() or destination.is_symlink():
        raise UsageError(f"{destination} exists already; name a folder that does not")
    to, encoder_only = options.to, options.encoder_only
    decisions = ConversionSettings(
        gelu=options.gelu,
        lowercase=None if options.cased is None else not options.cased,
        config=None if options.config is None else Path(options.config),
        vocab=None if options.vocab is None else resolve(options.vocab),
        encoder_only=encoder_only,
    )
    reader, place = find_format(resolve(source) if is_hub_name(source) else source, options.from_)
    writer = BUNDLE if to is None else format_named(to, to_write=True)
    if to is None and reader is writer:
        raise UsageError(f"{source} is a model folder already; name the format to convert it to with --to")

    _check_options(reader, place, decisions)
    bundle = reader.read(place, decisions)
    if bundle.config.bottleneck_size is not None and writer is not BUNDLE:
        raise UsageError(
            f"the format {writer.name} has no bottleneck adapters. Received: {source}, a model with them; an adapter "
            "of `kbert finetune --adapter lora` becomes part of a plain BERT"
        )
    if encoder_only:
        bundle = heads.without_heads(bundle)
    with files.atomic_directory(destination) as folder:
        writer.write(bundle, folder, decisions)
        differences = _check(reader, place, writer, folder, bundle, decisions)
    return Conversion(
        reader.name, writer.name, bundle.architecture, len(bundle.tensors), differences, tuple(decisions.notes)
    )


_FLAGS = {"config": ("--config",), "vocab": ("--vocab",), "lowercase": ("--cased", "--uncased")}
"""The command-line names of the options that only some formats accept."""


def _check_options(reader: Format, place: Path, options: ConversionSettings) -> None:
    """Raises a UsageError for options whose values the files of this format already contain."""
    refused = [name for name in _FLAGS if name not in reader.takes]
    if any(getattr(options, name) is not None for name in refused):
        *flags, last = [flag for name in refused for flag in _FLAGS[name]]
        what, way = (f"{', '.join(flags)} and {last} are", "them") if flags else (f"{last} is", "it")
        raise UsageError(f"the model at {place} already contains what {what} for; leave {way} out")


def _check(
    reader: Format, place: Path, writer: Format, folder: Path, bundle: Bundle, options: ConversionSettings
) -> dict[str, float]:
    """Reads the destination back, compares it with the source, and returns the differences of the outputs.

    Raises:
        ParityError: A tensor, the tokenizer, the pooling or an output differs.
    """
    target = writer.name
    try:
        written = writer.find(folder)
        if written is None:
            raise UsageError(f"{folder} holds no model of this format")
        back = writer.read(written, ConversionSettings(notices=False))
    except KbertError as problem:
        reason = str(problem).replace(str(folder), "DESTINATION")
        raise ParityError(f"{target}: reading the written model failed ({reason}); nothing was written") from None
    expected, received = (
        each.tensors if writer.keeps_dtypes else parity.as_float32(each.tensors) for each in (bundle, back)
    )
    parity.check_tensors(expected, received, target)
    if not writer.keeps_dtypes and any(tensor.dtype == np.float64 for tensor in bundle.tensors.values()):
        options.notes.append("the float64 weights of the source are rounded to float32")
    if back.tokenizer.vocabulary != bundle.tokenizer.vocabulary or _rules(back) != _rules(bundle):
        raise ParityError(f"{target}: the written tokenizer differs from the source's; nothing was written")
    modules = bundle.modules
    if modules is not None and modules.gives_vectors and back.modules != modules:
        raise ParityError(f"{target}: the written pooling settings differ from the source's; nothing was written")
    if not parity.has_model(bundle):
        options.notes.append(
            f"kbert has no model for the head of {bundle.architecture}: its tensors were compared, but not its outputs"
        )
    batches = random_batches(bundle.config)
    differences = parity.largest_differences(
        reader.outputs(place, bundle, batches), writer.outputs(written, back, batches)
    )
    for name, reason in {**reader.inexact, **writer.inexact}.items():
        if differences.get(name, 0.0) > 0:
            options.notes.append(f"{reason} differ by up to {differences.pop(name):.1e}")
    for name, difference in differences.items():
        if not difference <= parity.TOLERANCE:
            raise ParityError(
                f"{target}: {name} differs from the source's by {difference:.2g}, more than {parity.TOLERANCE:g}; "
                "nothing was written"
            )
    return differences


def _rules(bundle: Bundle) -> TokenizerSettings:
    """Returns the tokenizer settings without `model_max_length`, which a bundle fills in from the model's config."""
    return dataclasses.replace(bundle.tokenizer.settings, model_max_length=None)


def figures(conversion: Conversion) -> dict[str, Any]:
    """Returns a conversion as a JSON object."""
    return {**dataclasses.asdict(conversion), "largest_difference": conversion.largest_difference}
