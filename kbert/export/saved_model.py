"""SavedModels that take text and give answers, as TensorFlow Serving loads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kbert import files, predictor
from kbert.errors import UsageError
from kbert.export.parity import check_parity, sample_inputs
from kbert.text.tokenizer_files import save_tokenizer

TOLERANCE = 1e-5


def export_saved_model(
    model: files.PathLike, *, output: files.PathLike, version: int | None = None, **use: Any
) -> Path:
    """Exports a fine-tuned model as `output`/VERSION.

    The SavedModel has two signatures, with batch and length free:

    - `serving_default`: strings, such as `text` [B] (and `text_pair` [B] for a task of pairs), to answers; for
      classification `label` [B], `labels` [B, C] and `probabilities` [B, C]. What differs in number is padded, and has
      a count;
    - `tokens`: `input_word_ids`, `input_mask` and `input_type_ids`, int32 [B, S], to what can be said without the
      text; for classification `probabilities`.

    It needs tensorflow and tensorflow-text to run, not kbert. Before its folder appears, it is loaded again and must
    answer as the bundle does.

    Args:
        model: A model folder that `finetune` wrote, or another that `kbert.load` takes.
        output: The base path of the served model, such as saved_models/NAME.
        version: A positive number; by default one more than the largest that is there, or 1.
        use: What `kbert.load` takes beside the folder, such as `paired`, `pooling` and `prompt`.

    Returns:
        The version's folder.

    Raises:
        UsageError: The version exists already.
        BundleError: The model cannot be read, or is for no task.
        ParityError: The export answers otherwise than the bundle; nothing was written.
    """
    base = Path(output)
    if version is None:
        taken = [int(path.name) for path in base.glob("*") if path.name.isdecimal()] if base.is_dir() else []
        version = max(taken, default=0) + 1
    if version < 1 or (base / str(version)).exists():
        raise UsageError(f"version must be a positive number that {base} does not have. Received: version={version}")

    loaded = predictor.load(model, **use)
    text_model = loaded.text_model
    inputs = sample_inputs(loaded.task.text_inputs, loaded.tokenizer.vocabulary)

    with files.atomic_directory(base / str(version)) as folder:
        signatures = {"serving_default": text_model.from_text, "tokens": text_model.from_tokens}
        tf.saved_model.save(text_model, str(folder), signatures=signatures)
        # For people, and for clients that tokenize themselves: TensorFlow Serving reads neither.
        extra = folder / "assets.extra"
        extra.mkdir()
        save_tokenizer(loaded.tokenizer, extra)
        _check(folder, inputs, text_model)
    return base / str(version)


def _check(folder: Path, inputs: dict[str, tf.Tensor], text_model: predictor.TextModel) -> None:
    signatures = tf.saved_model.load(str(folder)).signatures
    check_parity(
        _arrays(text_model.from_text(*inputs.values())),
        _arrays(signatures["serving_default"](**inputs)),
        tolerance=TOLERANCE,
        what="the SavedModel's text signature",
    )
    encoded = text_model.task.encode(text_model.encode, inputs)
    tokens = {feature.name: encoded[feature.name] for feature in text_model.task.model_features}
    check_parity(
        _arrays(text_model.from_tokens(*tokens.values())),
        _arrays(signatures["tokens"](**tokens)),
        tolerance=TOLERANCE,
        what="the SavedModel's token signature",
    )


def _arrays(outputs: dict[str, tf.Tensor]) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in outputs.items()}
