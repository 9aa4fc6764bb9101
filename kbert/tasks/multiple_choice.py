"""Multiple choice: the right one of several choices, such as the ending of a text or the answer to a question."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.errors import DataError
from kbert.files import PathLike
from kbert.layers.heads import MASKED_LOGIT
from kbert.model_folder.bundle import Bundle
from kbert.models.encoder import BertEncoder
from kbert.models.multiple_choice import MultipleChoiceModel
from kbert.sources.bad_rows import BadRows
from kbert.tasks.calibrated_task import CalibratedTask
from kbert.tasks.metrics.decisions import Decisions
from kbert.tasks.metrics.worst_examples import worst_examples
from kbert.tasks.options import MultipleChoiceOptions, TaskOptions
from kbert.tasks.protocol.answering import TextInput
from kbert.tasks.protocol.explaining import ExplainableTask
from kbert.tasks.protocol.objective import Tensors
from kbert.tasks.protocol.saved_settings import Kind, string
from kbert.tasks.protocol.soft_outputs import CANDIDATES, SoftOutput
from kbert.tasks.protocol.training_rows import TrainingRows, encode_texts
from kbert.tasks.readers.multiple_choice import LABEL_FORMATS, choice_index, detect_label_format
from kbert.tasks.readers.tables import read_table
from kbert.tasks.text_task import same_text
from kbert.text.graph.encoder import GraphEncoder


@dataclasses.dataclass(frozen=True)
class ChoiceExample:
    """A prompt with its choices.

    Args:
        prompt: The text that each choice follows.
        choices: Two or more choices.
        target: The right choice: its label in the file, or its index from 0; None if it is unknown.
        line: The 1-based line of the file; 0 for none.
    """

    prompt: str
    choices: tuple[str, ...]
    target: Any = None
    line: int = 0


class MultipleChoiceTask(CalibratedTask[ChoiceExample], ExplainableTask):
    """A task that selects one of the choices of each example. Examples may have different numbers of choices.

    Args:
        label_format: How files name the right choice, one of kbert.tasks.readers.multiple_choice.LABEL_FORMATS.

    Raises:
        ValueError: `label_format` is invalid.
    """

    name: ClassVar[str] = "multiple-choice"
    architecture = "BertForMultipleChoice"
    pooled_only: ClassVar[bool] = True
    main_metric = "accuracy"
    losses = ("cross_entropy",)
    explained_as = "logit of the choice"
    explained_choice = "choice"
    model_features = tuple(dataclasses.replace(each, dimensions="CS") for each in features.ENCODER_FEATURES)

    examples_noun: ClassVar[str] = "rows of choices"
    saved_fields: ClassVar[Mapping[str, Kind]] = {"label_format": string}

    def __init__(self, label_format: str = "0") -> None:
        if label_format not in LABEL_FORMATS:
            raise ValueError(f"label_format must be one of {', '.join(LABEL_FORMATS)}. Received: {label_format!r:.60}")
        self.label_format = label_format

    # === Reading ===

    @classmethod
    def parse_file(
        cls, path: PathLike, columns: Mapping[str, str], options: MultipleChoiceOptions, *, targets: bool, bad: BadRows
    ) -> Iterator[ChoiceExample]:
        """Yields the rows of a table with a prompt, several columns (in JSON lines a list) of choices, and a label.

        Empty cells after the last choice are ignored. If the option `label_format` is not "auto", the targets are
        indices from 0.
        """
        label_format = options.label_format
        for row in read_table(path, columns, form=options.table_format, lists=["choices"], bad=bad):
            try:
                choices = _choices(row.values["choices"])
                label = row.values.get("label")
                for role in ("prompt", "label") if targets else ():
                    if not row.values[role].strip():
                        raise ValueError(f"expected a {role}. Received an empty one")
                if targets and label_format != "auto":
                    label = choice_index(row.values["label"], choices, label_format)
            except ValueError as problem:
                bad.skip(DataError(str(problem), path, row.line))
            else:
                yield ChoiceExample(row.values["prompt"], choices, label, row.line)

    @classmethod
    def from_examples(
        cls, examples: Sequence[ChoiceExample], path: PathLike, options: Mapping[str, Any] | TaskOptions | None = None
    ) -> MultipleChoiceTask:
        """Makes the task with the label format of the options, which "auto" detects from the examples."""
        chosen: MultipleChoiceOptions = cls.info().choose_options(options)
        if chosen.label_format != "auto":
            return cls(chosen.label_format)
        return cls(detect_label_format([(each.target, each.choices) for each in examples], path))

    @classmethod
    def from_foreign(cls, bundle: Bundle, *, paired: bool) -> MultipleChoiceTask | None:
        """Returns the task of a Transformers model for multiple choice; None for other models."""
        return cls() if bundle.architecture == cls.architecture else None

    def check_example(self, example: ChoiceExample) -> ChoiceExample:
        """Returns the example with the index (from 0) of the choice that its label names; else raises ValueError."""
        return dataclasses.replace(example, target=choice_index(example.target, example.choices, self.label_format))

    def group(self, example: ChoiceExample) -> tuple[str, ...]:
        """Returns the prompt and choices, so that equal examples are not split between training and validation."""
        return same_text(example.prompt), *sorted(map(same_text, example.choices))

    # === Texts to features ===

    @property
    def text_inputs(self) -> tuple[TextInput, ...]:
        """The inputs `prompt`, and `choices`, a list of texts for each prompt."""
        return TextInput("prompt", "prompt"), TextInput("choices", "choices", is_list=True)

    def texts_of(self, examples: Sequence[ChoiceExample]) -> dict[str, list[Any]]:
        """Returns the prompts and the choices."""
        return {
            "prompt": [example.prompt for example in examples],
            "choices": [list(example.choices) for example in examples],
        }

    def encode(self, encode: GraphEncoder, inputs: Tensors) -> dict[str, tf.Tensor]:
        """Returns each choice as a pair with its prompt, int32 [B, C, S]. The mask of unused places is all zeros."""
        prompts, choices = inputs["prompt"], inputs["choices"]
        batch, count = tf.unstack(tf.shape(choices))
        flat = tf.reshape(choices, [-1])
        encoded = encode(tf.repeat(prompts, count), flat)
        mask = features.INPUT_MASK.name
        encoded[mask] *= tf.cast(flat != "", tf.int32)[:, None]
        length = tf.shape(encoded[mask])[1]
        return {name: tf.reshape(value, [batch, count, length]) for name, value in encoded.items()} | {
            "choices": choices
        }

    def training_rows(self, examples: Sequence[ChoiceExample], encode: GraphEncoder) -> TrainingRows:
        """Returns one item for each example, with one row for each choice, and the target "labels", int32 [items]."""
        sizes = np.array([len(example.choices) for example in examples], np.int64)
        prompts = [example.prompt for example in examples for _ in example.choices]
        choices = [choice for example in examples for choice in example.choices]
        return TrainingRows(*encode_texts(encode, prompts, choices), {"labels": _targets(examples)}, sizes)

    def trivial_metrics(
        self, train: Sequence[ChoiceExample], validation: Sequence[ChoiceExample]
    ) -> tuple[str, dict[str, Any]]:
        """Returns the metrics of always giving the choice with the index that is most often right in training."""
        place = int(np.bincount(_targets(train)).argmax())
        most = max(len(example.choices) for example in (*train, *validation))
        probabilities = np.zeros((len(validation), most), np.float32)
        probabilities[:, place] = 1.0
        return f"always answers choice {place + 1}", self.evaluate(validation, {"probabilities": probabilities})

    # === Model ===

    def build(self, encoder: BertEncoder) -> MultipleChoiceModel:
        """Makes the encoder with a score for each choice."""
        return MultipleChoiceModel(encoder)

    def loss_sums(self, outputs: Any, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns sums over examples."""
        labels, logits = batch["labels"], _logits(outputs, batch)
        nll = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        right = tf.cast(tf.argmax(logits, -1, tf.int32) == labels, tf.float32)
        return {"cross_entropy": tf.reduce_sum(nll), "accuracy": tf.reduce_sum(right)}

    def loss_weights(self, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns the number of examples."""
        examples = tf.cast(tf.size(batch["labels"]), tf.float32)
        return {"cross_entropy": examples, "accuracy": examples}

    @property
    def soft_outputs(self) -> Mapping[str, SoftOutput]:
        """See `TrainableTask.soft_outputs`."""
        return {"logits": SoftOutput(CANDIDATES)}

    def explained_target(self, outputs: Tensors) -> tf.Tensor:
        """Returns zeros, since a choice has a single number."""
        return tf.zeros_like(outputs["logits"][:, 0], tf.int32)

    def explained_number(self, outputs: Tensors, target: tf.Tensor) -> tf.Tensor:
        """Returns the logit of a prompt with a single choice."""
        return outputs["logits"][:, 0]

    # === Answers ===

    def served_answers(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Returns `choice`, the likeliest choice, string [B], and `index`, its index from 0, int32 [B].

        `probabilities` are those of all choices, float32 [B, C], 0 in unused places. `count` is the number of places up
        to the last choice, int32 [B]. If the model abstains from some answers, there is `abstained`, bool [B].
        """
        probabilities = self.token_outputs(outputs, encoded)["probabilities"]
        best = tf.argmax(probabilities, -1, tf.int32)
        used = tf.cast(encoded["choices"] != "", tf.int32)
        return {
            "index": best,
            "choice": tf.gather(encoded["choices"], best, batch_dims=1),
            "probabilities": probabilities,
            "count": tf.reduce_max(used * tf.range(1, tf.shape(used)[1] + 1), -1),
            **self.abstentions(probabilities),
        }

    def token_outputs(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Returns the `probabilities` of the choices, float32 [B, C]; 0 for choices without tokens."""
        used = tf.cast(_used(encoded), tf.float32)
        return {"probabilities": tf.nn.softmax(_logits(outputs, encoded)) * used}

    def readable_answer(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Returns {"choice": its text, "index": its index from 0, "probabilities": [p]}.

        If the model abstains from some answers, there is "abstained" as well.
        """
        return {
            "choice": row["choice"].decode("utf-8"),
            "index": int(row["index"]),
            "probabilities": row["probabilities"][: int(row["count"])].tolist(),
            **({"abstained": bool(row["abstained"])} if "abstained" in row else {}),
        }

    def text_line(self, prediction: Mapping[str, Any]) -> str:
        """Formats the index of the choice from 0 ("-" if the model abstains), its probability, prompt and choice."""
        probability = max(prediction["probabilities"], default=0.0)
        index = "-" if prediction.get("abstained") else str(prediction["index"])
        choice = " ".join(prediction["choice"].split())
        return "\t".join([index, f"{probability:.4f}", prediction["prompt"], choice])

    def decisions(self, examples: Sequence[ChoiceExample], answers: Mapping[str, np.ndarray]) -> Decisions:
        """Returns the decisions among the choices of each example."""
        return Decisions(answers["probabilities"], _targets(examples))

    def evaluate(self, examples: Sequence[ChoiceExample], answers: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Returns the accuracy, the cross entropy and the metrics of `confidence_scores`.

        "worst_examples" are the examples with the most confident wrong answers; each has the choices "expected" and
        "predicted".
        """
        labels, probabilities = _targets(examples), answers["probabilities"]
        rows = np.arange(len(labels))
        predicted = probabilities.argmax(-1)
        confidence, right = probabilities[rows, predicted], predicted == labels

        def describe(index: int) -> dict[str, Any]:
            choices = examples[index].choices
            return {"expected": choices[labels[index]], "predicted": choices[predicted[index]]}

        return {
            "examples": len(labels),
            "accuracy": float(right.mean()),
            "cross_entropy": float(-np.log(np.maximum(probabilities[rows, labels], 1e-30)).mean()),
            **self.confidence_scores(self.decisions(examples, answers)),
            "worst_examples": worst_examples(examples, np.where(right, 0.0, confidence), describe),
        }

    @property
    def sample_arguments(self) -> str:
        """Arguments of `kbert predict`, as an example in a model card."""
        return "'A prompt of your own' --pair 'a choice' --pair 'another choice'"


def _choices(value: str | list[str]) -> tuple[str, ...]:
    """Returns the choices of a row, without empty cells after the last choice."""
    choices = [value] if isinstance(value, str) else list(value)
    while choices and not choices[-1].strip():
        choices.pop()
    if len(choices) < 2:
        raise ValueError(f"expected two or more choices. Received {len(choices)}")
    for number, choice in enumerate(choices, start=1):
        if not choice.strip():
            raise ValueError(f"expected a text as choice {number} of {len(choices)}. Received an empty one")
    return tuple(choices)


def _targets(examples: Sequence[ChoiceExample]) -> np.ndarray:
    return np.array([example.target for example in examples], np.int32)


def _used(batch: Tensors) -> tf.Tensor:
    """Returns which places hold a choice, bool [B, C]."""
    return tf.reduce_any(batch[features.INPUT_MASK.name] > 0, -1)


def _logits(outputs: Tensors, batch: Tensors) -> tf.Tensor:
    return tf.where(_used(batch), outputs["logits"], MASKED_LOGIT)
