"""The tasks of benchmarks/task_transformers.py: the rows, the model and the metric of each with transformers."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

IGNORED = -100
"""The label of tokens that the loss leaves out."""
_LONGEST_QUESTION = 64
_NEVER = -1e30

Row = dict[str, Any]
"""A row of the model's input: the lists `input_ids` and `token_type_ids`, and the labels or positions to predict."""


class Kind(abc.ABC):
    """The part of fine-tuning that differs between tasks.

    Args:
        task: kbert's task, which has the labels and settings.
        tokenizer: The tokenizer of transformers.
        length: The longest input in tokens.
    """

    outputs: tuple[str, ...] = ("logits",)
    """The names of the model's outputs that `metric` needs."""

    def __init__(self, task: Any, tokenizer: Any, length: int) -> None:
        self.task = task
        self.tokenizer = tokenizer
        self.length = length

    @abc.abstractmethod
    def network(self, folder: str, changes: Mapping[str, Any]) -> Any:
        """Returns the pretrained model with a new head."""

    @abc.abstractmethod
    def rows(self, examples: Sequence[Any]) -> list[Row]:
        """Returns the rows of all examples in order; an example may have several rows."""

    @abc.abstractmethod
    def metric(self, examples: Sequence[Any], rows: Sequence[Row], answers: Sequence[Any]) -> float:
        """Returns the metric, computed from the outputs for each row."""


class Classification(Kind):
    """Classification of texts or pairs of texts, measured by accuracy."""

    def network(self, folder: str, changes: Mapping[str, Any]) -> Any:
        """Returns a BertForSequenceClassification."""
        from transformers import AutoModelForSequenceClassification

        return AutoModelForSequenceClassification.from_pretrained(folder, num_labels=len(self.task.labels), **changes)

    def rows(self, examples: Sequence[Any]) -> list[Row]:
        """Returns one row per example."""
        texts = [example.text for example in examples]
        pairs = [example.pair for example in examples] if examples[0].pair is not None else None
        encoded = self.tokenizer(texts, pairs, truncation=True, max_length=self.length, padding=False)
        ids = {label: number for number, label in enumerate(self.task.labels)}
        return [
            {"input_ids": tokens, "token_type_ids": types, "labels": ids[example.target]}
            for tokens, types, example in zip(encoded["input_ids"], encoded["token_type_ids"], examples, strict=True)
        ]

    def metric(self, examples: Sequence[Any], rows: Sequence[Row], answers: Sequence[Any]) -> float:
        """Returns the accuracy."""
        return float(np.mean([logits.argmax() == row["labels"] for row, (logits,) in zip(rows, answers, strict=True)]))


class Tagging(Kind):
    """Tagging of words at their first pieces in the IOB2 scheme, measured by seqeval's F1 of entities."""

    def network(self, folder: str, changes: Mapping[str, Any]) -> Any:
        """Returns a BertForTokenClassification."""
        from transformers import AutoModelForTokenClassification

        return AutoModelForTokenClassification.from_pretrained(folder, num_labels=len(self.task.labels), **changes)

    def rows(self, examples: Sequence[Any]) -> list[Row]:
        """Returns one row per window.

        Windows overlap by a quarter; each half of an overlap counts in one of its two windows.
        """
        overlap = self.length // 4
        encoded = self.tokenizer(
            [example.text for example in examples],
            truncation=True,
            max_length=self.length,
            stride=overlap,
            padding=False,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        texts = encoded["overflow_to_sample_mapping"]
        tags = [_Tags(example.spans or (), self.task.labels) for example in examples]
        rows = []
        for window, text in enumerate(texts):
            first = window == 0 or texts[window - 1] != text
            last = window + 1 == len(texts) or texts[window + 1] != text
            words = encoded.word_ids(window)
            inside = [place for place, word in enumerate(words) if word is not None]
            begin = 0 if first else overlap // 2
            end = len(inside) if last else len(inside) - (overlap - overlap // 2)
            labels = [IGNORED] * len(words)
            for number in range(begin, end):
                place = inside[number]
                if number == 0 or words[place] != words[inside[number - 1]]:
                    labels[place] = tags[text].label(encoded["offset_mapping"][window][place][0])
            types = encoded["token_type_ids"][window]
            rows.append({"input_ids": encoded["input_ids"][window], "token_type_ids": types, "labels": labels,
                         "text": text})  # fmt: skip
        return rows

    def metric(self, examples: Sequence[Any], rows: Sequence[Row], answers: Sequence[Any]) -> float:
        """Returns seqeval's F1 of entities."""
        from seqeval.metrics import f1_score

        true: list[list[str]] = [[] for _ in examples]
        given: list[list[str]] = [[] for _ in examples]
        names = self.task.labels
        for row, (logits,) in zip(rows, answers, strict=True):
            for place, label in enumerate(row["labels"]):
                if label != IGNORED:
                    true[row["text"]].append(names[label])
                    given[row["text"]].append(names[int(logits[place].argmax())])
        return float(f1_score(true, given, zero_division=0))


class _Tags:
    """Assigns labels to the words of a text, which are passed in order.

    Args:
        spans: The labelled spans of the text.
        labels: All labels; a label's id is its index.
    """

    def __init__(self, spans: Sequence[Any], labels: Sequence[str]) -> None:
        self._spans = sorted(spans, key=lambda span: span.start)
        self._ids = {label: number for number, label in enumerate(labels)}
        self._before: Any = None

    def label(self, start: int) -> int:
        """Returns the label id of the next word, which starts at the character `start`."""
        span = next((span for span in self._spans if span.start <= start < span.end), None)
        letter = "I" if span is self._before else "B"
        self._before = span
        return self._ids["O" if span is None else f"{letter}-{span.label}"]


class QuestionAnswering(Kind):
    """Prediction of the first and last token of the answer in windows of the context, measured by the F1 of words."""

    outputs = ("start_logits", "end_logits")

    def network(self, folder: str, changes: Mapping[str, Any]) -> Any:
        """Returns a BertForQuestionAnswering."""
        from transformers import AutoModelForQuestionAnswering

        return AutoModelForQuestionAnswering.from_pretrained(folder, **changes)

    def rows(self, examples: Sequence[Any]) -> list[Row]:
        """Returns one row per window; its `start_positions` and `end_positions` are 0 if it has no answer."""
        third = (self.length - 3) // 3
        stride = third if self.task.stride is None else self.task.stride
        most = min(_LONGEST_QUESTION, max(third, 1), self.length - 3 - stride - 1)
        encoded = self.tokenizer(
            [self._cut(example.question, most) for example in examples],
            [example.context for example in examples],
            truncation="only_second",
            max_length=self.length,
            stride=stride,
            padding=False,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        rows = []
        for window, number in enumerate(encoded["overflow_to_sample_mapping"]):
            places = [place for place, part in enumerate(encoded.sequence_ids(window)) if part == 1]
            offsets = encoded["offset_mapping"][window]
            start, end = _answer_places(examples[number].answers, places, offsets)
            rows.append(
                {
                    "input_ids": encoded["input_ids"][window],
                    "token_type_ids": encoded["token_type_ids"][window],
                    "start_positions": start,
                    "end_positions": end,
                    "question": number,
                    "offsets": offsets,
                    "context": (places[0], places[-1]),
                }
            )
        return rows

    def _cut(self, question: str, most: int) -> str:
        offsets = self.tokenizer(question, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        return question if len(offsets) <= most else question[: offsets[most - 1][1]]

    def metric(self, examples: Sequence[Any], rows: Sequence[Row], answers: Sequence[Any]) -> float:
        """Returns the F1 of the answers with the largest sum of logits in any window."""
        from kbert.tasks.metrics import question_answering as metrics

        best = [_NEVER] * len(examples)
        texts = [""] * len(examples)
        for row, (start_logits, end_logits) in zip(rows, answers, strict=True):
            first, last = row["context"]
            size = last + 1 - first
            sums = start_logits[first : last + 1, None] + end_logits[None, first : last + 1]
            distance = np.arange(size)[None] - np.arange(size)[:, None]
            sums = np.where((distance >= 0) & (distance < self.task.max_answer_length), sums, _NEVER)
            start, end = np.unravel_index(sums.argmax(), sums.shape)
            number = row["question"]
            if sums[start, end] > best[number]:
                best[number] = float(sums[start, end])
                offsets = row["offsets"]
                texts[number] = examples[number].context[offsets[first + start][0] : offsets[first + end][1]]
        return float(
            np.mean(
                [
                    metrics.best(metrics.f1, [answer.text for answer in example.answers], text)
                    for example, text in zip(examples, texts, strict=True)
                ]
            )
        )


def _answer_places(answers: Sequence[Any] | None, places: Sequence[int], offsets: Sequence[Any]) -> tuple[int, int]:
    """Returns the first and the last token of the first answer, or (0, 0) if it is not completely inside the window.

    Args:
        answers: The true answers of the question.
        places: The positions of the context's tokens in the window.
        offsets: The start and end character of each token.
    """
    if not answers:
        return 0, 0
    text = answers[0].text
    begin = answers[0].start + len(text) - len(text.lstrip())
    limit = answers[0].start + len(text.rstrip())
    touching = [place for place in places if offsets[place][0] < limit and offsets[place][1] > begin]
    if not touching or offsets[places[0]][0] > begin or offsets[places[-1]][1] < limit:
        return 0, 0
    return touching[0], touching[-1]


KINDS: dict[str, type[Kind]] = {
    "classification": Classification,
    "tagging": Tagging,
    "question-answering": QuestionAnswering,
}
