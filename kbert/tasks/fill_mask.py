"""The task of masked language models: the likeliest pieces for each [MASK] of a text."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import tensorflow as tf

from kbert import features
from kbert.model_folder.bundle import Bundle
from kbert.models.encoder import BertEncoder
from kbert.models.masked_language_model import MaskedLanguageModel
from kbert.tasks.explained.token_places import token_places
from kbert.tasks.protocol.explaining import LABEL, SPAN, ExplainedPart, PartsExplainingTask, log_odds
from kbert.tasks.protocol.objective import Tensors
from kbert.tasks.text_task import TextTask
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer
from kbert.text.vocabulary import MASK

_PIECES = 10
"""The number of pieces that are given for each mask."""


class FillMaskTask(PartsExplainingTask, TextTask):
    """A task that predicts the piece at each [MASK] of a text. Pretraining trains it; it is not fine-tuned."""

    name: ClassVar[str] = "fill-mask"
    architecture = "BertForMaskedLM"
    explained_as = "log odds of the piece"
    pooled: ClassVar[bool] = False
    model_features = (*features.ENCODER_FEATURES, features.MASKED_LM_POSITIONS)

    @classmethod
    def from_foreign(cls, bundle: Bundle, *, paired: bool) -> FillMaskTask | None:
        """Returns the task of a pretrained model of kbert or Transformers; None for other models."""
        fits = bundle.architecture in ("BertForMaskedLM", "BertForPreTraining")
        return cls() if fits and not paired else None

    def adapt_tokenizer(self, tokenizer: Tokenizer) -> Tokenizer:
        """Returns the tokenizer with the setting that "[MASK]" in a text is the special token."""
        settings = dataclasses.replace(tokenizer.settings, special_tokens_in_text=True)
        return Tokenizer.from_settings(tokenizer.vocabulary, settings)

    def encode(self, encode: GraphEncoder, inputs: Tensors) -> dict[str, tf.Tensor]:
        """Returns the features and `masked_lm_positions`, int32 [B, P], 0 in unused places; P is at least 1."""
        vocabulary = encode.tokenizer.vocabulary
        encoded = encode(inputs["text"])
        ids = encoded[features.INPUT_WORD_IDS.name]
        masks = tf.where(ids == vocabulary.mask_id)
        count = tf.shape(ids, tf.int64)[0]
        by_text = tf.RaggedTensor.from_value_rowids(tf.cast(masks[:, 1], tf.int32), masks[:, 0], count)
        positions = by_text.to_tensor()
        positions = tf.pad(positions, [[0, 0], [0, tf.maximum(0, 1 - tf.shape(positions)[1])]])
        return {
            **encoded,
            features.MASKED_LM_POSITIONS.name: positions,
            "count": tf.cast(by_text.row_lengths(), tf.int32),
            "pieces": tf.constant(list(vocabulary)),
            "text": inputs["text"],
        }

    def build(self, encoder: BertEncoder) -> MaskedLanguageModel:
        """Makes the encoder with the head of a masked language model."""
        return MaskedLanguageModel(encoder)

    def served_answers(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Returns the likeliest pieces for each of P masks, the likeliest first.

        `count`, the number of masks, is int32 [B]; `pieces`, string [B, P, 10]; `probabilities`, float32 [B, P, 10].
        Unused places hold "" and 0.
        """
        pieces = encoded["pieces"]
        logits = outputs["mlm_logits"][..., : tf.size(pieces)]
        probabilities, ids = tf.math.top_k(tf.nn.softmax(logits), tf.minimum(_PIECES, tf.size(pieces)))
        used = tf.sequence_mask(encoded["count"], tf.shape(ids)[1])[..., None]
        return {
            "count": encoded["count"],
            "pieces": tf.where(used, tf.gather(pieces, ids), ""),
            "probabilities": tf.where(used, probabilities, 0.0),
        }

    def token_outputs(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Returns `mlm_logits`, the logits over the vocabulary, float32 [B, P, V]."""
        return {"mlm_logits": outputs["mlm_logits"]}

    def readable_answer(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Returns {"masks": [{piece: probability}]}, the likeliest piece first."""
        masks = []
        for place in range(row["count"]):
            pieces = [piece.decode("utf-8") for piece in row["pieces"][place]]
            masks.append(dict(zip(pieces, row["probabilities"][place].tolist(), strict=True)))
        return {"masks": masks}

    def text_line(self, prediction: Mapping[str, Any]) -> str:
        """Formats the five likeliest pieces of each mask, and the text."""
        masks = [
            ", ".join(f"{piece} {probability:.3f}" for piece, probability in list(mask.items())[:5])
            for mask in prediction["masks"]
        ]
        return f"{' | '.join(masks) or f'(no {MASK})'}\t{prediction['text']}"

    # === Explanations ===

    @property
    def caller_choices(self) -> Sequence[str]:
        """A span, which holds the mask."""
        return (SPAN,)

    def explained_part(
        self, encode: GraphEncoder, encoded: Tensors, outputs: Tensors, chosen: Tensors
    ) -> ExplainedPart:
        """Returns the likeliest piece of the mask that the model is surest of, or of the mask in the given span."""
        positions, pieces, span = encoded[features.MASKED_LM_POSITIONS.name], encoded["pieces"], chosen[SPAN]
        places = token_places(encode, encoded, [encoded["text"]], [encoded["text"]])
        starts = tf.gather(places.starts, positions, batch_dims=1)
        ends = tf.gather(places.ends, positions, batch_dims=1)
        given = span[:, 1:] > span[:, :1]
        fits = tf.sequence_mask(encoded["count"], tf.shape(positions)[1])
        fits &= ~given | ((starts < span[:, 1:]) & (ends > span[:, :1]))
        probabilities = tf.nn.softmax(outputs["mlm_logits"][..., : tf.size(pieces)])
        best = tf.argmax(tf.where(fits, tf.reduce_max(probabilities, -1), -1.0), -1, tf.int32)
        exists = tf.reduce_any(fits, -1)

        def of_mask(values: tf.Tensor) -> tf.Tensor:
            return tf.gather(values, best, batch_dims=1)

        piece = of_mask(tf.argmax(probabilities, -1, tf.int32))
        is_mask = encoded[features.INPUT_WORD_IDS.name] == encode.tokenizer.vocabulary.mask_id
        return ExplainedPart(
            {
                **features.encoder_part(encoded),
                features.MASKED_LM_POSITIONS.name: of_mask(positions)[:, None],
            },
            places._replace(texts=tf.where(is_mask, -1, places.texts)),  # a mask always stays
            tf.where(exists, piece, -1),
            {
                LABEL: tf.where(exists, tf.gather(pieces, piece), ""),
                "start": tf.where(exists, of_mask(starts), 0),
                "end": tf.where(exists, of_mask(ends), 0),
            },
        )

    def explained_number(self, outputs: Tensors, target: tf.Tensor) -> tf.Tensor:
        """Returns the log odds of the piece; 0 for a text without a mask."""
        return tf.where(target < 0, 0.0, log_odds(outputs["mlm_logits"][:, 0], tf.maximum(target, 0)))

    # === Words for people ===

    @property
    def description(self) -> str:
        """What the model does, for a model card."""
        return f"{self.name}: {self.info().help}"

    @property
    def sample_arguments(self) -> str:
        """Arguments of `kbert predict`, as an example in a model card."""
        return f"'A text with a {MASK}.'"
