"""A Keras layer that converts strings to the features of the encoder."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from kbert import features
from kbert.errors import UsageError, shown
from kbert.files import PathLike
from kbert.model_folder.hub import resolve
from kbert.model_folder.tokenizer import load_model_tokenizer, tokenizer_from
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.settings import settings_from_dict
from kbert.text.tokenizer import Tokenizer
from kbert.text.truncation import Truncation
from kbert.text.vocabulary import Vocabulary

PADDINGS = ("fixed", "longest")
_DEFAULT_LENGTH = 128


@keras.saving.register_keras_serializable("kbert")
class Preprocessor(keras.layers.Layer):
    """A layer that converts texts or pairs of texts to the features of kbert's models.

    The ids are those of `kbert.Tokenizer`. The layer works in `dataset.map` and in calls with strings. On the
    TensorFlow backend of Keras it also works inside a model that takes strings. `dataset.map(preprocessor)` accepts
    elements of the form (texts), (texts, labels) and (texts, labels, weights), and returns labels and weights
    unchanged. Texts are strings [B], a single string, or a tuple of two of these for pairs. The features are
    int32 [B, S], or [S] for a single text.

    Args:
        tokenizer: A `kbert.Tokenizer`; a folder of a model, of a corpus or of `kbert vocab train`, whose tokenizer
            settings are used; or a `kbert.Vocabulary` or the path of a vocab.txt, which are used with lower-casing.
        sequence_length: The maximum number of tokens, including special tokens. Longer texts are truncated at the end.
        truncation: Which text of a pair is truncated: "longest_first", "only_first" or "only_second".
        padding: "fixed" pads all sequences to `sequence_length`, so that XLA compiles for one shape only. "longest"
            pads to the longest sequence of the batch, which is faster without XLA. A single text is always padded as
            with "fixed".

    Example:
        >>> preprocessor = kbert.Preprocessor("vocab.txt", sequence_length=8)
        >>> preprocessor(["the cat sat"])["input_mask"].numpy().tolist()
        [[1, 1, 1, 1, 1, 0, 0, 0]]

    Raises:
        UsageError: An option is invalid.
        VocabularyError: The vocabulary is invalid.
    """

    def __init__(
        self,
        tokenizer: Tokenizer | Vocabulary | PathLike | Mapping[str, Any],
        sequence_length: int = _DEFAULT_LENGTH,
        *,
        truncation: Truncation = "longest_first",
        padding: str = "fixed",
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "int32"})
        if padding not in PADDINGS:
            raise UsageError(f"padding must be one of {', '.join(PADDINGS)}. Received: padding={shown(padding)}")
        self.tokenizer = _tokenizer(tokenizer)
        most = self.tokenizer.settings.model_max_length
        if most is not None and sequence_length > most:
            raise UsageError(
                f"sequence_length must be at most the model's {most} positions. Received: {sequence_length}"
            )
        self.sequence_length = sequence_length
        self.truncation = truncation
        self.padding = padding
        with tf.init_scope():  # look-up tables must be created outside of any graph
            self._encode = GraphEncoder(self.tokenizer.to_graph(), sequence_length, truncation=truncation)
        # TensorFlow tokenizes on every Keras backend, and XLA does not support strings.
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True
        self.supports_jit = False
        self.built = True

    @classmethod
    def from_preset(cls, folder: PathLike, sequence_length: int | None = None, **options: Any) -> Preprocessor:
        """Returns the preprocessor of a model folder, with the tokenizer of the folder.

        Args:
            folder: A model folder, or a model of the Hugging Face Hub as "hf://owner/name".
            sequence_length: The maximum number of tokens. The default is 128, or the number of positions of the model
                if that is smaller.
            options: Further options of the constructor.

        Example:
            >>> preprocessor = kbert.Preprocessor.from_preset("RUN", sequence_length=16)
            >>> preprocessor(["the cat", "a dog"])["input_word_ids"].shape
            TensorShape([2, 16])

        Raises:
            BundleError: The tokenizer of the folder is missing or damaged.
            UsageError: An option is invalid.
        """
        tokenizer = load_model_tokenizer(resolve(folder))
        if sequence_length is None:
            sequence_length = min(_DEFAULT_LENGTH, tokenizer.settings.model_max_length or _DEFAULT_LENGTH)
        return cls(tokenizer, sequence_length, **options)

    def call(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Returns the features of the texts, together with `y` and `sample_weight` if they are given."""
        encoded = self._features(x)
        if sample_weight is not None:
            return encoded, y, sample_weight
        return encoded if y is None else (encoded, y)

    def _features(self, x: Any) -> dict[str, Any]:
        # A functional model turns a tuple into a list of tensors of texts.
        is_pair = isinstance(x, list) and len(x) == 2 and all(getattr(part, "ndim", 0) for part in x)
        parts = tuple(x) if isinstance(x, tuple) or is_pair else (x,)
        if len(parts) not in (1, 2):
            raise UsageError(f"expected texts, or a tuple of two for pairs. Received: a tuple of {len(parts)}")
        texts = [_strings(part) for part in parts]
        alone = texts[0].shape.rank == 0
        if alone:
            texts = [tf.expand_dims(part, 0) for part in texts]
        elif texts[0].shape.rank == 2 and texts[0].shape[1] == 1:  # Keras passes texts in this shape
            texts = [part[:, 0] for part in texts]
        encoded = self._encode(*texts)
        if alone or self.padding == "fixed":
            encoded = {name: self._padded(name, values) for name, values in encoded.items()}
        if alone:
            return {name: values[0] for name, values in encoded.items()}
        if keras.backend.backend() != "tensorflow" and tf.executing_eagerly():
            return {name: keras.ops.convert_to_tensor(values.numpy()) for name, values in encoded.items()}
        return encoded

    def _padded(self, name: str, values: Any) -> Any:
        fill = self.tokenizer.vocabulary.pad_id if name == features.INPUT_WORD_IDS.name else 0
        missing = self.sequence_length - tf.shape(values)[1]
        padded = tf.pad(values, [[0, 0], [0, missing]], constant_values=fill)
        return tf.ensure_shape(padded, [None, self.sequence_length])

    def compute_output_spec(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Returns symbolic int32 [B, S] features; S is unknown with the padding "longest"."""
        first = x[0] if isinstance(x, (tuple, list)) else x
        length = self.sequence_length if self.padding == "fixed" else None
        encoded = {
            feature.name: keras.KerasTensor((first.shape[0], length), feature.dtype)
            for feature in features.ENCODER_FEATURES
        }
        if sample_weight is not None:
            return encoded, y, sample_weight
        return encoded if y is None else (encoded, y)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, including the vocabulary, as plain data."""
        vocabulary = self.tokenizer.vocabulary
        return {
            "name": self.name,
            "trainable": self.trainable,
            "tokenizer": {
                "tokens": list(vocabulary.tokens),
                "piece_count": vocabulary.piece_count,
                "settings": dataclasses.asdict(self.tokenizer.settings),
            },
            "sequence_length": self.sequence_length,
            "truncation": self.truncation,
            "padding": self.padding,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Preprocessor:
        """Creates a new layer from the result of `get_config`."""
        return cls(**config)


def _tokenizer(given: Any) -> Tokenizer:
    if isinstance(given, Tokenizer):
        return given
    if isinstance(given, Mapping):
        vocabulary = Vocabulary(given["tokens"], piece_count=given["piece_count"])
        return Tokenizer.from_settings(vocabulary, settings_from_dict(given["settings"]))
    return Tokenizer(given) if isinstance(given, Vocabulary) else tokenizer_from(given)


def _strings(texts: Any) -> Any:
    """Returns a tensor of strings, given a tensor, an array or Python strings."""
    if isinstance(texts, Sequence) and not isinstance(texts, (str, bytes)) and not len(texts):
        return tf.zeros([0], tf.string)
    tensor = tf.convert_to_tensor(texts)
    if tensor.dtype != tf.string:
        raise UsageError(f"expected texts. Received: values of the type {tensor.dtype.name}")
    return tensor
