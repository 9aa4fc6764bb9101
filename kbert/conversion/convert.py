"""`kbert convert`: a model of any known format to any other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kbert import files
from kbert.conversion import google, heads, keras_hub, model_garden, parity
from kbert.conversion.checkpoint_files import OBJECT_GRAPH, CheckpointFiles, find_checkpoint
from kbert.conversion.options import Options, gelu_form, with_gelu
from kbert.errors import KbertError, ParityError, UsageError
from kbert.model_folder.bundle import Bundle, describe_parameters, is_bundle, model_card
from kbert.model_folder.hub import is_hub_name, resolve
from kbert.model_folder.weights import WEIGHTS_FILES
from kbert.text.settings import TokenizerSettings

BUNDLE, GOOGLE, MODEL_GARDEN, KERAS_HUB = "bundle", "google", "model-garden", "keras-hub"
TARGETS = (BUNDLE, GOOGLE, KERAS_HUB)
"""Formats that can be written."""
_LOOKED_FOR = (
    "a model folder (config.json and model.safetensors), a checkpoint of Google's code or the Model Garden "
    "(bert_config.json, vocab.txt, bert_model.ckpt.index), or a KerasHub preset (config.json and model.weights.h5)"
)


@dataclasses.dataclass(frozen=True)
class Conversion:
    """What a conversion did.

    Args:
        source_format: "bundle", "google", "model-garden" or "keras-hub".
        destination_format: The same.
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
    to: str | None = None,
    gelu: str | None = None,
    cased: bool | None = None,
    config: files.PathLike | None = None,
    vocab: files.PathLike | None = None,
    encoder_only: bool = False,
) -> Conversion:
    """Converts a model to another format, and checks that it gives the same outputs.

    Args:
        source: A folder, a checkpoint's prefix, or "hf://owner/name"; its format is found out.
        destination: The folder to make.
        to: "bundle", "google" or "keras-hub". By default a bundle; a bundle needs a format to go to.
        gelu: "erf" or "tanh", the form of GELU, instead of what the source says. Google's bert_config.json does not
            say: "erf" by default, as Hugging Face has it.
        cased: Whether text keeps its case, instead of what the source says, or what its vocabulary shows.
        config: A bert_config.json that is not beside the checkpoint.
        vocab: A vocab.txt that is not beside the checkpoint.
        encoder_only: Leave heads behind.

    Returns:
        What was done, with the largest differences between the outputs of source and destination.

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
    place, kind = find_format(resolve(source) if is_hub_name(source) else source)
    target = to or BUNDLE
    if target not in TARGETS:
        raise UsageError(f"models can be converted to {', '.join(TARGETS)}. Received: {to}")
    if to is None and kind == BUNDLE:
        raise UsageError(f"{source} is a model folder already; name the format to convert it to with --to")

    bundle = _READERS[kind](place, options)
    if encoder_only:
        bundle = heads.without_heads(bundle)
    with files.atomic_directory(destination) as folder:
        _WRITERS[target](bundle, folder, options)
        differences = _check(kind, place, target, folder, bundle, options)
    return Conversion(kind, target, bundle.architecture, len(bundle.tensors), differences, tuple(options.notes))


def find_format(source: files.PathLike) -> tuple[Path, str]:
    """Where a model is, and in what format: the folder, or the prefix of the checkpoint in it.

    Raises:
        UsageError: It is of no known format, or a folder has several checkpoints.
    """
    path = Path(source)
    if path.is_dir():
        if keras_hub.is_preset(path):
            return path, KERAS_HUB
        has_weights = any((path / name).exists() for name in WEIGHTS_FILES)
        if is_bundle(path) and (has_weights or find_checkpoint(path) is None):
            return path, BUNDLE
    prefix = find_checkpoint(path)
    if prefix is None:
        what = "holds none of them" if path.exists() else "does not exist"
        raise UsageError(f"expected {_LOOKED_FOR}. {source} {what}")
    return prefix, MODEL_GARDEN if OBJECT_GRAPH in CheckpointFiles(prefix).shapes else GOOGLE


def _read_bundle(folder: Path, options: Options) -> Bundle:
    if options.config or options.vocab or options.lowercase is not None:
        raise UsageError(f"{folder} says itself what --config, --vocab, --cased and --uncased are for; leave them out")
    bundle = Bundle.load(folder)
    config = with_gelu(bundle.config, options.gelu)
    if config != bundle.config:
        options.notes.append(f"GELU is the {gelu_form(config)} form now; the source's is {gelu_form(bundle.config)}")
    return dataclasses.replace(bundle, config=config)


def _write_bundle(bundle: Bundle, folder: Path, options: Options) -> None:
    parameters = sum(tensor.size for tensor in bundle.tensors.values())
    config = bundle.config
    lines = {
        "Architecture": bundle.architecture,
        "Encoder": f"{config.num_hidden_layers} layers, width {config.hidden_size}, {config.hidden_act}",
        "Parameters": f"{parameters:,}",
        "Notes": "; ".join(options.notes) or "none",
    }
    title = f"BERT ({describe_parameters(parameters)}), converted with kbert"
    bundle.save(folder, model_card(title, lines, "kbert inspect FOLDER"))


_READERS: dict[str, Callable[[Path, Options], Bundle]] = {
    BUNDLE: _read_bundle,
    GOOGLE: google.read,
    MODEL_GARDEN: model_garden.read,
    KERAS_HUB: keras_hub.read,
}
_WRITERS: dict[str, Callable[[Bundle, Path, Options], None]] = {
    BUNDLE: _write_bundle,
    GOOGLE: google.write,
    KERAS_HUB: keras_hub.write,
}


def _check(kind: str, place: Path, target: str, folder: Path, bundle: Bundle, options: Options) -> dict[str, float]:
    """Reads the destination back and compares it with the source."""
    try:
        back = _read_back(target, folder, bundle)
    except KbertError as problem:
        reason = str(problem).replace(str(folder), "DESTINATION")
        raise ParityError(f"{target}: what was written cannot be read ({reason}); nothing was written") from None
    # Foreign formats store float32.
    expected, received_tensors = (
        (bundle.tensors, back.tensors)
        if target == BUNDLE
        else (parity.as_float32(bundle.tensors), parity.as_float32(back.tensors))
    )
    parity.check_tensors(expected, received_tensors, target)
    if target != BUNDLE and any(tensor.dtype == np.float64 for tensor in bundle.tensors.values()):
        options.notes.append("the float64 weights of the source are rounded to float32")
    if back.tokenizer.vocabulary != bundle.tokenizer.vocabulary or _rules(back) != _rules(bundle):
        raise ParityError(f"{target}: the tokenizer did not come back as it was; nothing was written")
    batches = parity.random_batches(bundle.config)
    ours = parity.bundle_outputs(bundle, batches)
    own_form = kind == KERAS_HUB and gelu_form(bundle.config) == "tanh"
    sources = parity.preset_outputs(place, bundle, batches) if own_form else ours
    received = (
        parity.preset_outputs(folder, bundle, batches) if target == KERAS_HUB else parity.bundle_outputs(back, batches)
    )
    differences = parity.largest_differences(sources, received)
    if KERAS_HUB in (kind, target) and differences.get("mlm_logits", 0.0) > 0:
        # The class has another activation and epsilon in its head than BERT, and no setting for them.
        options.notes.append(
            "KerasHub's BertMaskedLM computes its head with the erf form and epsilon 1e-5: its logits differ by up to "
            f"{differences.pop('mlm_logits'):.1e}"
        )
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


def _read_back(target: str, folder: Path, bundle: Bundle) -> Bundle:
    if target == BUNDLE:
        return Bundle.load(folder, notices=False)
    if target == GOOGLE:
        return google.read(folder / google.CHECKPOINT, Options())
    return keras_hub.read(folder, Options())


def figures(conversion: Conversion) -> dict[str, Any]:
    """A conversion as JSON."""
    return {**dataclasses.asdict(conversion), "largest_difference": conversion.largest_difference}
