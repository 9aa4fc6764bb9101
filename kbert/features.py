"""The features of records, batches and models: their names, dtypes and shapes.

The names are those of TF Hub and the Model Garden. Everywhere in kbert dimensions have these letters: B batch, S
sequence length, H hidden width, N heads, D head size, P predictions, V vocabulary, E maximum number of examples in a
packed row.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Feature:
    """A named array of a batch.

    Args:
        name: The key of the array in a dict of features.
        dtype: The dtype, "int32" or "float32".
        dimensions: The letters of the dimensions after the batch, such as "S"; "" for one value per example.
    """

    name: str
    dtype: str
    dimensions: str


INPUT_WORD_IDS = Feature("input_word_ids", "int32", "S")
"""The token ids: [CLS] a [SEP] b [SEP], then padding."""
INPUT_MASK = Feature("input_mask", "int32", "S")
"""1 for a token, 0 for padding."""
INPUT_TYPE_IDS = Feature("input_type_ids", "int32", "S")
"""0 for the first text and its separators, 1 for the second text."""
MASKED_LM_POSITIONS = Feature("masked_lm_positions", "int32", "P")
"""The positions of the masked tokens, in ascending order; unused entries are 0."""
MASKED_LM_IDS = Feature("masked_lm_ids", "int32", "P")
"""The original token ids at these positions."""
MASKED_LM_WEIGHTS = Feature("masked_lm_weights", "float32", "P")
"""1 for a prediction, 0 for an unused entry."""
NEXT_SENTENCE_LABELS = Feature("next_sentence_labels", "int32", "")
"""1 if the second text is random (or, in sentence order prediction, if the texts are swapped), 0 if it follows."""
WORD_CONTINUATIONS = Feature("word_continuations", "int32", "S")
"""In records only: 1 for a token that continues a word of a word list, so that the whole word is masked."""
INPUT_POSITIONS = Feature("input_positions", "int32", "S")
"""In packed rows: the position of each token in its example, from 0."""
INPUT_EXAMPLE_IDS = Feature("input_example_ids", "int32", "S")
"""In packed rows: the number of the example that a token belongs to, from 1; 0 for padding."""
NEXT_SENTENCE_POSITIONS = Feature("next_sentence_positions", "int32", "E")
"""In packed rows: the position of the [CLS] of each example; unused entries are 0."""
PACKED_NEXT_SENTENCE_LABELS = Feature(NEXT_SENTENCE_LABELS.name, "int32", "E")
"""In packed rows: the label of each example."""
NEXT_SENTENCE_WEIGHTS = Feature("next_sentence_weights", "float32", "E")
"""In packed rows: 1 for an example, 0 for an unused entry."""
ENTITY_POSITIONS = Feature("entity_positions", "int32", "2")
"""The positions of the first token of the head and of the tail of a relation; 0, that of [CLS], if there is none."""

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
    """Returns those features of a batch that the encoder reads."""
    return {feature.name: inputs[feature.name] for feature in ENCODER_FEATURES}


def keras_inputs(features: Iterable[Feature]) -> dict[str, Any]:
    """Returns symbolic Keras inputs of any batch size and length, by the names of the features."""
    import keras

    return {
        feature.name: keras.Input((None,) * len(feature.dimensions), dtype=feature.dtype, name=feature.name)
        for feature in features
    }
