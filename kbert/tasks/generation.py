"""Generation: a new text for a text, such as its translation, its title, a summary or a reply."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.errors import DataError, UsageError
from kbert.files import PathLike
from kbert.model_folder.bundle import Bundle
from kbert.models.encoder import BertEncoder
from kbert.models.prefix_language_model import PrefixLanguageModel
from kbert.sources.bad_rows import BadRows
from kbert.tasks.decoding.beams import BeamSearch
from kbert.tasks.decoding.loop import decode
from kbert.tasks.decoding.settings import SHORTEST_SOURCE, Decoding
from kbert.tasks.decoding.single import SingleAnswers, random_draws
from kbert.tasks.decoding.token_rules import TokenRules
from kbert.tasks.explained.generated import log_probability, predicted_tokens, rows_with_targets, widened
from kbert.tasks.explained.token_places import token_places
from kbert.tasks.generation_baselines import best_baseline
from kbert.tasks.metrics.chrf import sentence_chrf
from kbert.tasks.metrics.generation import generation_metrics
from kbert.tasks.metrics.worst_examples import worst_examples
from kbert.tasks.options import GenerationOptions, TaskOptions
from kbert.tasks.protocol.answering import TextInput
from kbert.tasks.protocol.explaining import ExplainedPart, PartsExplainingTask
from kbert.tasks.protocol.objective import Tensors
from kbert.tasks.protocol.saved_settings import Kind, flag
from kbert.tasks.protocol.soft_outputs import SoftOutput
from kbert.tasks.protocol.trainable import TrainableTask
from kbert.tasks.protocol.training_rows import TrainingRows
from kbert.tasks.readers.generation import GenerationExample, read_pairs_of_texts
from kbert.tasks.rows.generation_rows import source_and_target_rows, target_lengths
from kbert.tasks.smoothed_cross_entropy import smoothed_cross_entropy
from kbert.tasks.text_task import same_text
from kbert.text.graph.detokenizer import GraphDetokenizer
from kbert.text.graph.encoder import GraphEncoder

_COVERED = 0.99
"""The part of the training targets that the default of `max_target` covers."""
_SHORTEST_LIMIT = 8
"""The smallest default of `max_target`."""


def decoding(value: Any) -> Decoding:
    """Returns the `Decoding` of a JSON object; raises TypeError for other values."""
    names = {field.name for field in dataclasses.fields(Decoding)}
    if not isinstance(value, Mapping) or not value.keys() <= names:
        raise TypeError("an object of settings of the decoding")
    return Decoding(**value)


class GenerationTask(PartsExplainingTask, TrainableTask[GenerationExample]):
    """A task whose models write a text for each text.

    The encoder reads rows of [CLS] source [SEP] target, and predicts each token of the target from the tokens before
    it (`PrefixLanguageModel`). No tensors are added: the model folder is that of a masked language model.

    Args:
        decoding: How the tokens of an answer are chosen.
        lowercase: Whether the model writes lower case only, so that metrics ignore case.
        label_smoothing: The part of each target token that is spread over the vocabulary in the loss.
        target_masks: The part of the target tokens that are replaced by random ones when the model reads them.

    Raises:
        UsageError: `label_smoothing` or `target_masks` is not in [0, 1).
    """

    name: ClassVar[str] = "generation"
    not_separable = "its loss is computed for the tokens of all rows together"
    architecture = "BertForMaskedLM"
    main_metric = "chrf"
    losses = ("cross_entropy",)
    explained_as = "log probability of the generated text"
    pooled: ClassVar[bool] = False
    one_pass: ClassVar[bool] = False
    not_for_phones: ClassVar[str] = "they write one token after the other, in a loop"
    trains_whole_vocabulary = True
    has_interval = False  # its metrics compare texts, which takes too long to repeat
    examples_noun: ClassVar[str] = "texts with targets"
    saved_fields: ClassVar[Mapping[str, Kind]] = {"decoding": decoding, "lowercase": flag}

    def __init__(
        self,
        decoding: Decoding | None = None,
        lowercase: bool = False,
        label_smoothing: float = 0.1,
        target_masks: float = 0.1,
    ) -> None:
        for name, value in (("label_smoothing", label_smoothing), ("target_masks", target_masks)):
            if not 0 <= value < 1:
                raise UsageError(f"{name} must be in [0, 1). Received: {name}={value}")
        self.decoding = decoding or Decoding()
        self.lowercase = lowercase
        self.label_smoothing = label_smoothing
        self.target_masks = target_masks

    def settings(self) -> dict[str, Any]:
        """Returns the settings for kbert.json."""
        return {"name": self.name, "decoding": dataclasses.asdict(self.decoding), "lowercase": self.lowercase}

    def with_decoding(self, **changes: Any) -> GenerationTask:
        """Returns the task with some settings of the decoding changed; see `Decoding.with_changes`."""
        other = copy.copy(self)
        other.decoding = self.decoding.with_changes(changes)
        return other

    # === Reading ===

    @classmethod
    def parse_file(
        cls, path: PathLike, columns: Mapping[str, str], options: GenerationOptions, *, targets: bool, bad: BadRows
    ) -> Iterator[GenerationExample]:
        """Yields the texts of a file with their targets; see kbert.tasks.readers.generation."""
        return read_pairs_of_texts(
            path,
            columns,
            form=options.table_format,
            target_ending=options.target_ending,
            targets=targets,
            bad=bad,
        )

    @classmethod
    def from_examples(
        cls,
        examples: Sequence[GenerationExample],
        path: PathLike,
        options: Mapping[str, Any] | TaskOptions | None = None,
    ) -> GenerationTask:
        """Makes the task from the options alone."""
        chosen: GenerationOptions = cls.info().choose_options(options)
        return cls(
            Decoding(max_target=chosen.max_target),
            label_smoothing=chosen.label_smoothing,
            target_masks=chosen.target_masks,
        )

    @classmethod
    def from_foreign(cls, bundle: Bundle, *, paired: bool) -> GenerationTask | None:
        """Returns the task of a masked language model, whose head fine-tuning starts from; None for other models."""
        fits = bundle.architecture in ("BertForMaskedLM", "BertForPreTraining")
        return cls() if fits and not paired else None

    def group(self, example: GenerationExample) -> str:
        """Returns the text, so that equal texts are not split between training and validation."""
        return same_text(example.text)

    def keep_fitting(
        self, examples: Sequence[GenerationExample], encode: GraphEncoder, path: PathLike, bad: BadRows
    ) -> list[GenerationExample]:
        """Returns the examples whose targets fit into the model beside a token of the source."""
        room = encode.sequence_length - SHORTEST_SOURCE
        lengths = iter(target_lengths(examples, encode))
        kept = []
        for example in examples:
            if max(next(lengths) for _ in example.target) > room:
                bad.skip(
                    DataError(
                        f"expected a target of at most {room} tokens, since source and target share the "
                        f"{encode.sequence_length} tokens of a row. Received a longer one; shorten it, raise "
                        "--sequence-length, or skip it with --skip-bad",
                        path,
                        example.line or None,
                    )
                )
            else:
                kept.append(example)
        if not kept:
            raise DataError(f"expected {self.examples_noun}. All targets are longer than {room} tokens", path)
        return kept

    def for_training_examples(self, examples: Sequence[GenerationExample], encode: GraphEncoder) -> GenerationTask:
        """Returns the task with the length of nearly all targets as `max_target`, unless it is given."""
        other = copy.copy(self)
        other.lowercase = encode.tokenizer.lowercase
        if self.decoding.max_target is None:
            covered = int(np.quantile(target_lengths(examples, encode), _COVERED, method="higher"))
            longest = min(max(covered, _SHORTEST_LIMIT), self.decoding.longest(encode.sequence_length))
            other.decoding = dataclasses.replace(self.decoding, max_target=longest)
        other.decoding.longest(encode.sequence_length)  # raises an error if it does not fit
        return other

    # === Texts to features ===

    @property
    def text_inputs(self) -> tuple[TextInput, ...]:
        """The input `text`."""
        return (TextInput("text", "text"),)

    def texts_of(self, examples: Sequence[GenerationExample]) -> dict[str, list[Any]]:
        """Returns the texts."""
        return {"text": [example.text for example in examples]}

    def encode(self, encode: GraphEncoder, inputs: Tensors) -> dict[str, tf.Tensor]:
        """Returns rows of [CLS] text [SEP], which are cut so that the longest answer fits behind them."""
        room = encode.sequence_length - self.decoding.longest(encode.sequence_length)
        return {**GraphEncoder(encode.tokenizer, room)(inputs["text"]), "text": inputs["text"]}

    def training_rows(self, examples: Sequence[GenerationExample], encode: GraphEncoder) -> TrainingRows:
        """Returns a row for each target: [CLS] text [SEP] target, with the types 0 and 1.

        The targets are those of the masked language model: `masked_lm_positions` (int32) are the last token of the
        source and the tokens of the target, `masked_lm_ids` (int32) the tokens behind them, up to the [SEP] behind the
        target, and `masked_lm_weights` (float32) are 1. A target that is longer than `max_target` is cut, and then has
        no [SEP].

        While `max_target` is not known, a target is cut to the sequence length, and the source gives way to it.
        """
        return source_and_target_rows(examples, encode, self.decoding.max_target)

    # === Model ===

    def build(self, encoder: BertEncoder) -> PrefixLanguageModel:
        """Makes the encoder with the head of a masked language model."""
        return PrefixLanguageModel(encoder, self.target_masks)

    def loss_sums(self, outputs: Any, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns sums over the tokens of the targets and their ends."""
        used = batch[features.MASKED_LM_WEIGHTS.name] > 0
        logits = outputs["mlm_logits"]
        if len(logits.shape) == 3:  # a model that does not skip padding also returns the logits of unused places
            logits = tf.boolean_mask(logits, used)
        labels = tf.boolean_mask(batch[features.MASKED_LM_IDS.name], used)
        loss, right = smoothed_cross_entropy(labels, logits, self.label_smoothing)
        return {"cross_entropy": tf.reduce_sum(loss), "token_accuracy": tf.reduce_sum(right)}

    def loss_weights(self, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns the number of tokens of the targets and their ends."""
        count = tf.reduce_sum(batch[features.MASKED_LM_WEIGHTS.name])
        return {"cross_entropy": count, "token_accuracy": count}

    @property
    def soft_outputs(self) -> Mapping[str, SoftOutput]:
        """Returns nothing: a student is trained on texts that its teacher wrote."""
        return {}

    # === Answers ===

    def answer_outputs(self, model: Any, batch: Tensors, encode: GraphEncoder) -> dict[str, tf.Tensor]:
        """Writes the answers, best first.

        Returns:
            `ids`, int32 [B, A, T], with 0 in unused places, and their `lengths`, int32 [B, A]; `texts`, string [B, A];
            and `scores`, float32 [B, A].
        """
        return self.written(model, batch, encode)

    def written(
        self,
        model: Any,
        batch: Tensors,
        encode: GraphEncoder,
        seeds: tf.Tensor | None = None,
        temperature: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Writes the answers, in the graph.

        Args:
            model: The model that `build` made.
            batch: The features of the sources, int32 [B, S] each.
            encode: The tokenizer in the graph, with the sequence length.
            seeds: The seed of each text, int64 [B], with which tokens are drawn; None decodes as the settings say.
            temperature: The divisor of the logits of each text, float32 [B], where 0 or less takes the likeliest
                tokens; None for that of the settings.

        Returns:
            See `answer_outputs`.
        """
        vocabulary, chosen = encode.tokenizer.vocabulary, self.decoding
        longest = chosen.longest(encode.sequence_length)
        rules = TokenRules(model, vocabulary, chosen, longest)
        if seeds is None and chosen.temperature is not None:
            seeds = tf.fill([tf.shape(batch[features.INPUT_WORD_IDS.name])[0]], tf.constant(chosen.seed, tf.int64))
        if seeds is not None:
            draws = random_draws(seeds, batch, chosen.answers, longest + 1)
            answers = decode(model, batch, SingleAnswers(rules, chosen, draws, temperature), longest)
        elif chosen.beams > 1:
            answers = decode(model, batch, BeamSearch(rules, chosen), longest)
        else:
            answers = decode(model, batch, SingleAnswers(rules, chosen), longest)
        texts = GraphDetokenizer(vocabulary)(answers.ids, answers.lengths)
        return {"ids": answers.ids, "lengths": answers.lengths, "texts": texts, "scores": answers.scores}

    def served_answers(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Returns `generated`, string [B], and `score`, float32 [B]; with several answers, both are [B, A].

        The score is the log probability of the answer, divided by the length penalty.
        """
        texts, scores = outputs["texts"], outputs["scores"]
        if self.decoding.answers == 1:
            texts, scores = texts[:, 0], scores[:, 0]
        return {"generated": texts, "score": scores}

    def token_outputs(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Returns the tokens of the answers, `ids` int32 [B, A, T] with 0 in unused places, and `scores` [B, A]."""
        return {"ids": outputs["ids"], "scores": outputs["scores"]}

    def readable_answer(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Returns {"generated", "score"}: a text and a number, or with several answers, lists of them."""
        if self.decoding.answers == 1:
            return {"generated": row["generated"].decode("utf-8"), "score": float(row["score"])}
        return {
            "generated": [text.decode("utf-8") for text in row["generated"]],
            "score": [float(score) for score in row["score"]],
        }

    def text_line(self, prediction: Mapping[str, Any]) -> str:
        """Formats the answer, or several answers with tabs between them, as one line."""
        texts = prediction["generated"]
        return "\t".join(" ".join(text.split()) for text in ([texts] if isinstance(texts, str) else texts))

    # === Explanations ===

    def explained_part(
        self, encode: GraphEncoder, encoded: Tensors, outputs: Tensors, chosen: Tensors
    ) -> ExplainedPart:
        """Returns the best generated text of each source."""
        ids, lengths = outputs["ids"][:, 0], outputs["lengths"][:, 0]
        rows = rows_with_targets(encoded, ids, lengths)
        # The sources are encoded without prompts.
        places = token_places(encode, encoded, [encoded["text"]], [encoded["text"]])
        longest = self.decoding.longest(encode.sequence_length)
        return ExplainedPart(
            rows,
            widened(places, tf.shape(rows[features.INPUT_WORD_IDS.name])[1]),
            predicted_tokens(ids, lengths, encode.tokenizer.vocabulary.sep_id, longest),
            {"generated": outputs["texts"][:, 0]},
        )

    def explained_outputs(self, model: Any, embedded: tf.Tensor, batch: Tensors) -> Tensors:
        """Returns the logits of the tokens of the answer; see `ExplainableTask.explained_outputs`."""
        outputs: Tensors = model.from_embeddings(embedded, batch)
        return outputs

    def explained_number(self, outputs: Tensors, target: tf.Tensor) -> tf.Tensor:
        """Returns the log probability of the generated tokens, without the rules of the decoding."""
        return log_probability(outputs["mlm_logits"], target)

    # === Metrics ===

    def evaluate(self, examples: Sequence[GenerationExample], answers: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Returns the metrics of `generation_metrics` for the best answers, and the "worst_examples" by chrF."""
        column = np.asarray(answers["generated"], object)
        texts = [text.decode("utf-8") for text in (column if column.ndim == 1 else column[:, 0])]
        references = [example.target for example in examples]
        each = [
            sentence_chrf(wanted, text, lowercase=self.lowercase)
            for wanted, text in zip(references, texts, strict=True)
        ]
        return {
            "examples": len(examples),
            **generation_metrics(references, texts, lowercase=self.lowercase),
            "worst_examples": worst_examples(
                examples,
                100 - np.array(each),
                lambda index: {"expected": examples[index].target[0], "predicted": texts[index], "chrf": each[index]},
            ),
        }

    def trivial_metrics(
        self, train: Sequence[GenerationExample], validation: Sequence[GenerationExample]
    ) -> tuple[str, dict[str, Any]]:
        """Returns the metrics of the best of three baselines: the text, its first sentence, the nearest target."""
        return best_baseline(train, validation, self.main_metric, lowercase=self.lowercase)

    @property
    def description(self) -> str:
        """What the model does, for a model card."""
        return f"generation of texts of up to {self.decoding.max_target or 'half the sequence length in'} tokens"

    @property
    def sample_arguments(self) -> str:
        """Arguments of `kbert predict`, as an example in a model card."""
        return "'A text of your own'"
