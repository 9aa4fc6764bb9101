"""Exports SavedModels from text to answers, for TensorFlow Serving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kbert import files
from kbert.export.encoder_for_litert import FILE_NAME as ENCODER_FILE
from kbert.export.encoder_for_litert import encoder_signatures, write_encoder
from kbert.export.example_signatures import INPUTS, example_signatures, examples, name_methods
from kbert.export.explain_signature import EXPLAIN, check_explanations, explaining_function
from kbert.export.litert_for_serving import FILE_NAME, check_task, litert_for_serving
from kbert.export.manifest import MANIFEST_FILE, manifest
from kbert.export.options import ExportSavedModelOptions
from kbert.export.parity import check_parity, sample_inputs
from kbert.export.sampling_signature import SAMPLE, sampling_signatures, with_seeds
from kbert.export.session import session_answers
from kbert.export.warmup import WARMUP_FILE, write_warmup_requests
from kbert.options import option_error, with_options
from kbert.prediction.loading import load
from kbert.prediction.options import PromptedOptions
from kbert.prediction.predictor import Predictor
from kbert.prediction.text_model import TextModel
from kbert.tasks.protocol.answering import check_one_pass
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.graph.tokenizer import GraphTokenizer
from kbert.text.tokenizer_files.writing import save_tokenizer

TOLERANCE = 1e-5


@with_options(ExportSavedModelOptions)
def export_saved_model(model: files.PathLike, *, options: ExportSavedModelOptions) -> Path:
    """Exports a fine-tuned model as `output`/VERSION.

    The SavedModel has these signatures, with batch and length free:

    - `serving_default`: from strings, such as `text` [B] (and `text_pair` [B] for a task of pairs), to answers; for
      classification `label` [B], `classes` [B, C] and `probabilities` [B, C]. Answers of different length are padded,
      and have a count;
    - `tokens`: from `input_word_ids`, `input_mask` and `input_type_ids`, int32 [B, S], to the answers that need no
      text; for classification `probabilities`;
    - `classify`, for classification, multilabel classification, ranking and multiple choice: from `inputs`, serialized
      tf.Examples [B] with the text inputs as bytes features, to `classes` [B, C] and `scores` [B, C];
    - `regress`, for regression: from `inputs`, as in `classify`, to `outputs` [B];
    - `sample`, for generation: from `text` [B], `seed`, int64 [B], and `temperature`, float32 [B], to the answers of
      `serving_default`, with tokens that are drawn.
    - `explain`, with the option `explain`: from the texts, and for models with labels `label` [B], which is "" for the
      predicted one, to `words`, `starts`, `ends` and `scores` [B, W], with `count` [B] (see `Predictor.explain`).

    Its folder assets.extra has kbert.json, which says what the model does (see `kbert.export.manifest`); warm-up
    requests, which TensorFlow Serving runs before it serves the version; and the files of the tokenizer.

    The SavedModel runs with tensorflow and tensorflow-text, without kbert, or with `ops="core"` with tensorflow alone.
    Before its folder appears, TensorFlow's two loaders load it: `tf.saved_model.load`, which Python programs and
    `kbert serve` use, and a session, which TensorFlow Serving, `saved_model_cli`, Triton and TensorFlow's C, Java and
    Go interfaces use. In both, every signature must give the answers of the model folder.

    Args:
        model: A model folder that `finetune` wrote, or any that `kbert.load` accepts.
        options: All of these options in one object.

    Returns:
        The folder of the version.

    Raises:
        UsageError: The version exists already, or is less than 1; `litert` is given for a task whose model needs
            other inputs than one row of tokens; or `explain` is given for a task whose answers cannot be explained.
        BundleError: The model folder is damaged, or its model is for no task.
        ParityError: The export gives other answers than the model; nothing was written.

    Example:
        >>> kbert.export_saved_model("RUN", output="saved_models/films")
        PosixPath('saved_models/films/1')
        >>> import tensorflow as tf
        >>> served = tf.saved_model.load("saved_models/films/1").signatures["serving_default"]
        >>> sorted(served(text=tf.constant(["the cat"])))
        ['classes', 'label', 'probabilities']
    """
    return write_saved_model(model, options)


def write_saved_model(
    model: files.PathLike, options: ExportSavedModelOptions, command: Sequence[str] | None = None
) -> Path:
    """Exports a model as `export_saved_model` does, with the command line in the manifest.

    Args:
        model: The model folder.
        options: The options of the export.
        command: The command line, word by word; None in Python.
    """
    base, version = Path(options.output), options.version
    if version is None:
        taken = [int(path.name) for path in base.glob("*") if path.name.isdecimal()] if base.is_dir() else []
        version = max(taken, default=0) + 1
    if (base / str(version)).exists():
        raise option_error(
            lambda spell: f"{spell('version')} must be new in {base}. Received: {spell('version', version)}"
        )

    loaded = load(model, options=options.narrowed(PromptedOptions))
    if options.litert is not None:
        check_task(loaded.task)
    if options.litert_encoder is not None:
        check_one_pass(loaded.task, "litert_encoder")
    text_model = _core_text_model(loaded) if options.ops == "core" else loaded.text_model
    inputs = sample_inputs(loaded.task.text_inputs, loaded.tokenizer.vocabulary)

    with files.atomic_directory(base / str(version)) as folder:
        signatures = _signatures(text_model, explain=options.explain)
        parts = {} if options.litert_encoder is None else encoder_signatures(text_model)
        tf.saved_model.save(ServedModel(text_model), str(folder), signatures={**signatures, **parts})
        name_methods(folder)
        extra = folder / "assets.extra"
        # Servers read the manifest and the warm-up requests; the tokenizer is for clients that tokenize by themselves.
        extra.mkdir()
        files.write_json(extra / MANIFEST_FILE, manifest(loaded, model, command))
        write_warmup_requests(
            extra / WARMUP_FILE, text_model, loaded.tokenizer.vocabulary, model_name=base.name, signatures=signatures
        )
        save_tokenizer(loaded.tokenizer, extra)
        # Whatever its operations, an export must answer as the model folder.
        _check(folder, inputs, loaded.text_model)
        if options.explain:
            check_explanations(folder, loaded)
        if options.litert_encoder is not None:
            write_encoder(extra / ENCODER_FILE, loaded.text_model, options.litert_encoder, folder, inputs)
        if options.litert is not None:
            (folder / FILE_NAME).write_bytes(litert_for_serving(loaded, options.litert))
    return base / str(version)


class ServedModel(tf.Module):
    """The parts of a text model that are saved: its variables and the tokenizer, without its Keras layers.

    A Keras variable wraps a tf.Variable, and TensorFlow saves each of the two with a handle of its own: a session would
    restore one handle and read the other, which has no value. So the variables are saved without their wrappers, once.

    Args:
        text_model: The model from text to answers.
    """

    def __init__(self, text_model: TextModel) -> None:
        super().__init__(name="served_model")
        self.weights = [variable.value for variable in text_model.model.weights]
        self.encode = text_model.encode


def _signatures(text_model: TextModel, *, explain: bool = False) -> dict[str, Any]:
    explaining = {EXPLAIN: explaining_function(text_model)} if explain else {}
    return {
        "serving_default": text_model.from_text,
        "tokens": text_model.from_tokens,
        **example_signatures(text_model),
        **sampling_signatures(text_model),
        **explaining,
    }


def _core_text_model(loaded: Predictor) -> TextModel:
    """Returns the text model with a tokenizer of TensorFlow's own operations."""
    tokenizer = loaded.tokenizer
    graph = GraphTokenizer(tokenizer.vocabulary, tokenizer.settings, tokenizer.text_tokens, core=True)
    return TextModel(loaded.task, loaded.model, GraphEncoder(graph, loaded.sequence_length))


def _check(folder: Path, inputs: Mapping[str, tf.Tensor], text_model: TextModel) -> None:
    signatures = _signatures(text_model)
    encoded = text_model.task.encode(text_model.encode, inputs)
    tokens = {feature.name: encoded[feature.name] for feature in text_model.task.model_features}
    serialized = {INPUTS: tf.constant([example.SerializeToString() for example in examples(inputs)])}
    special = {"serving_default": inputs, "tokens": tokens, SAMPLE: with_seeds(inputs)}
    requests = {name: special.get(name, serialized) for name in signatures}
    expected = {name: _arrays(signatures[name](*request.values())) for name, request in requests.items()}
    restored = tf.saved_model.load(str(folder)).signatures
    loaded = {name: _arrays(restored[name](**request)) for name, request in requests.items()}
    in_session = session_answers(folder, {name: _arrays(request) for name, request in requests.items()})
    for way, answers in (("tf.saved_model.load", loaded), ("a session, as TensorFlow Serving's", in_session)):
        for name, wanted in expected.items():
            check_parity(
                wanted,
                answers[name],
                tolerance=TOLERANCE,
                what=f"the SavedModel's signature {name}, loaded by {way}",
            )


def _arrays(outputs: Mapping[str, tf.Tensor]) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in outputs.items()}
