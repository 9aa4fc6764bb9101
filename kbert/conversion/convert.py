"""`kbert convert`: a model of any format to any other."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from kbert import files
from kbert.conversion import heads, parity
from kbert.conversion.batches import random_batches
from kbert.conversion.format import Format
from kbert.conversion.formats import BUNDLE, find_format, format_named
from kbert.conversion.options import Options
from kbert.errors import KbertError, ParityError, UsageError
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.hub import is_hub_name, resolve
from kbert.text.settings import TokenizerSettings


@dataclasses.dataclass(frozen=True)
class Conversion:
    """What a conversion did.

    Args:
        source_format: The name of the source's format, such as "google".
        destination_format: The name of the destination's format.
        architecture: Transformers' class of the model.
        tensors: How many tensors went over; each is the same to the bit.
        differences: The largest absolute difference of each output for random inputs.
        notes: What the user should know, a line each.
    """

    source_format: str
    destination_format: str
    architecture: str
    tensors: int
    differences: dict[str, float]
    notes: tuple[str, ...]

    @property
    def largest_difference(self) -> float:
        """Of all outputs."""
        return max(self.differences.values(), default=0.0)


def convert(
    source: files.PathLike,
    destination: files.PathLike,
    *,
    from_: str | None = None,
    to: str | None = None,
    gelu: str | None = None,
    cased: bool | None = None,
    config: files.PathLike | None = None,
    vocab: files.PathLike | None = None,
    encoder_only: bool = False,
) -> Conversion:
    """Converts a model to another format, and checks that it gives the same outputs.

    Args:
        source: A folder, a checkpoint's prefix, or "hf://owner/name".
        destination: The folder to make.
        from_: The format of the source: "bundle", "google", "model-garden", "keras-hub", or one of another package
            (docs/adding-a-format.md). By default it is found out.
        to: The format of the destination: "bundle", "google", "keras-hub", or one of another package. By default a
            bundle; a bundle needs a format to go to.
        gelu: "erf" or "tanh", the form of GELU, instead of what the source says. Google's bert_config.json does not
            say: "erf" by default, as Hugging Face has it.
        cased: Whether text keeps its case, instead of what the source says, or what its vocabulary shows.
        config: A bert_config.json that is not beside the checkpoint.
        vocab: A vocab.txt that is not beside the checkpoint.
        encoder_only: Whether heads are left behind.

    Returns:
        What was done, with the largest differences between the outputs of source and destination.

    Example:
        >>> done = kbert.convert("RUN", "google", to="google")
        >>> done.destination_format, done.largest_difference
        ('google', 0.0)

    Raises:
        UsageError: The source is of no known format, the destination exists, or the options do not fit together.
        BundleError: The source is incomplete, damaged, or contradicts itself.
        ConfigError: The destination's format cannot have such a model.
        ParityError: The destination gives other outputs; nothing was written.
    """
    destination = Path(destination)
    if destination.exists() or destination.is_symlink():
        raise UsageError(f"{destination} exists already; name a folder that does not")
    options = Options(
        gelu=gelu,
        lowercase=None if cased is None else not cased,
        config=None if config is None else Path(config),
        vocab=None if vocab is None else Path(vocab),
        encoder_only=encoder_only,
    )
    if gelu not in (None, "erf", "tanh"):
        raise UsageError(f'gelu must be "erf" or "tanh". Received: {gelu!r}')
    reader, place = find_format(resolve(source) if is_hub_name(source) else source, from_)
    writer = BUNDLE if to is None else format_named(to, to_write=True)
    if to is None and reader is writer:
        raise UsageError(f"{source} is a model folder already; name the format to convert it to with --to")

    _check_options(reader, place, options)
    bundle = reader.read(place, options)
    if encoder_only:
        bundle = heads.without_heads(bundle)
    with files.atomic_directory(destination) as folder:
        writer.write(bundle, folder, options)
        differences = _check(reader, place, writer, folder, bundle, options)
    return Conversion(
        reader.name, writer.name, bundle.architecture, len(bundle.tensors), differences, tuple(options.notes)
    )


_FLAGS = {"config": ("--config",), "vocab": ("--vocab",), "lowercase": ("--cased", "--uncased")}
"""The names on the command line of options that not every format takes."""


def _check_options(reader: Format, place: Path, options: Options) -> None:
    """Refuses options for what the files of the format say themselves."""
    refused = [name for name in _FLAGS if name not in reader.takes]
    if any(getattr(options, name) is not None for name in refused):
        *flags, last = [flag for name in refused for flag in _FLAGS[name]]
        what, way = (f"{', '.join(flags)} and {last} are", "them") if flags else (f"{last} is", "it")
        raise UsageError(f"{place} says itself what {what} for; leave {way} out")


def _check(
    reader: Format, place: Path, writer: Format, folder: Path, bundle: Bundle, options: Options
) -> dict[str, float]:
    """Reads the destination back and compares it with the source."""
    target = writer.name
    try:
        written = writer.find(folder)
        if written is None:
            raise UsageError(f"{folder} holds no model of this format")
        back = writer.read(written, Options(notices=False))
    except KbertError as problem:
        reason = str(problem).replace(str(folder), "DESTINATION")
        raise ParityError(f"{target}: what was written cannot be read ({reason}); nothing was written") from None
    expected, received = (
        each.tensors if writer.keeps_dtypes else parity.as_float32(each.tensors) for each in (bundle, back)
    )
    parity.check_tensors(expected, received, target)
    if not writer.keeps_dtypes and any(tensor.dtype == np.float64 for tensor in bundle.tensors.values()):
        options.notes.append("the float64 weights of the source are rounded to float32")
    if back.tokenizer.vocabulary != bundle.tokenizer.vocabulary or _rules(back) != _rules(bundle):
        raise ParityError(f"{target}: the tokenizer did not come back as it was; nothing was written")
    modules = bundle.modules
    if modules is not None and modules.gives_vectors and back.modules != modules:
        raise ParityError(f"{target}: the pooling of vectors did not come back as it was; nothing was written")
    if not parity.has_model(bundle):
        options.notes.append(
            f"kbert has no model for the head of {bundle.architecture}: its tensors were compared, its outputs not"
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
    """How it tokenizes; the longest input is the model's affair, and a bundle fills it in."""
    return dataclasses.replace(bundle.tokenizer.settings, model_max_length=None)


def figures(conversion: Conversion) -> dict[str, Any]:
    """A conversion as JSON."""
    return {**dataclasses.asdict(conversion), "largest_difference": conversion.largest_difference}
