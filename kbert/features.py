"""The features that travel between text, records, batches and models: their names, dtypes and shapes.

The names are TF Hub's and the Model Garden's. Dimension letters, here and everywhere: B batch, S sequence,
H hidden, N heads, D head size, P predictions, V vocabulary, E most examples in a packed row.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Feature:
    """One named array of a batch.

    Args:
        name: Its key in a feature dict.
        dtype: "int32" or "float32".
        dimensions: Dimension letters after the batch, such as "S"; "" for one value an example.
    """

    name: str
    dtype: str
    dimensions: str


INPUT_WORD_IDS = Feature("input_word_ids", "int32", "S")
"""Token ids: [CLS] a [SEP] b [SEP], then padding."""
INPUT_MASK = Feature("input_mask", "int32", "S")
"""1 for a token, 0 for padding."""
INPUT_TYPE_IDS = Feature("input_type_ids", "int32", "S")
"""0 for the first text and its separators, 1 for the second."""
MASKED_LM_POSITIONS = Feature("masked_lm_positions", "int32", "P")
"""Positions to predict, rising; unused places are 0."""
MASKED_LM_IDS = Feature("masked_lm_ids", "int32", "P")
"""The token ids that stood there."""
MASKED_LM_WEIGHTS = Feature("masked_lm_weights", "float32", "P")
"""1 for a prediction, 0 for an unused place."""
NEXT_SENTENCE_LABELS = Feature("next_sentence_labels", "int32", "")
"""1 when the second text is a random one (or, of sentence order, when the texts are swapped), 0 when it follows."""
WORD_CONTINUATIONS = Feature("word_continuations", "int32", "S")
"""Records only: 1 for a token that continues a word of a word list, so that the word is masked whole."""
INPUT_POSITIONS = Feature("input_positions", "int32", "S")
"""Packed rows: the place of each token in its own example, from 0."""
INPUT_EXAMPLE_IDS = Feature("input_example_ids", "int32", "S")
"""Packed rows: which example of the row a token belongs to, from 1; 0 for padding."""
NEXT_SENTENCE_POSITIONS = Feature("next_sentence_positions", "int32", "E")
"""Packed rows: where the [CLS] of each example stands; unused places are 0."""
PACKED_NEXT_SENTENCE_LABELS = Feature(NEXT_SENTENCE_LABELS.name, "int32", "E")
"""Packed rows: the label of each example."""
NEXT_SENTENCE_WEIGHTS = Feature("next_sentence_weights", "float32", "E")
"""Packed rows: 1 for an example, 0 for an unused place."""

ENCODER_FEATURES = (INPUT_WORD_IDS, INPUT_MASK, INPUT_TYPE_IDS)
MASKING_FEATURES = (MASKED_LM_POSITIONS, MASKED_LM_IDS, MASKED_LM_WEIGHTS)
PRETRAINING_FEATURES = (*ENCODER_FEATURES, *MASKING_FEATURES, NEXT_SENTENCE_LABELS)
PACKED_ENCODER_FEATURES = (*ENCODER_FEATURES, INPUT_POSITIONS, INPUT_EXAMPLE_IDS, NEXT_SENTENCE_POSITIONS)
PACKED_PRETRAINING_FEATURES = (
    *PACKED_ENCODER_FEATURES,
    *MASKING_FEATURES,
    PACKED_NEXT_SENTENCE_LABELS,
    NEXT_SENTENCE_WEIGHTS,
)


def encoder_part(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The encoder's features out of all of a batch."""
    return {feature.name: inputs[feature.name] for feature in ENCODER_FEATURES}


def keras_inputs(features: Iterable[Feature]) -> dict[str, Any]:
    """Symbolic Keras inputs, batch and dimensions free: {name: KerasTensor}."""
    import keras

    return {
        feature.name: keras.Input((None,) * len(feature.dimensions), dtype=feature.dtype, name=feature.name)
        for feature in features
    }
