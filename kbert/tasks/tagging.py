"""Tagging: spans of a text with types, such as named entities, or a tag for each word, such as its part of speech."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from kbert.errors import DataError, UsageError, shown
from kbert.files import PathLike
from kbert.layers.crf import TABLES as CRF_TABLES
from kbert.layers.crf import log_likelihood, viterbi
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.parts import CRF_TENSOR
from kbert.models.encoder import BertEncoder
from kbert.models.token_classification import TokenClassificationModel
from kbert.sources.bad_rows import BadRows
from kbert.tasks.answers.spans import LETTERS, FoundSpans, found_spans, readable_spans, served_spans, span_scores
from kbert.tasks.answers.words import (
    constant_words,
    given_words,
    most_frequent_tag,
    readable_words,
    served_words,
    word_scores,
)
from kbert.tasks.explained.spans import explained_span_part, mean_log_odds
from kbert.tasks.labels import label_names, warn_of_similar_labels
from kbert.tasks.metrics.names import LOSS
from kbert.tasks.options import TaggingOptions, TaskOptions
from kbert.tasks.protocol.answering import TextInput
from kbert.tasks.protocol.explaining import LABEL, SPAN, ExplainedPart, PartsExplainingTask
from kbert.tasks.protocol.objective import Tensors
from kbert.tasks.protocol.saved_settings import Kind, flag, names
from kbert.tasks.protocol.trainable import TrainableTask
from kbert.tasks.protocol.training_rows import TokenRows, TrainingRows, strings
from kbert.tasks.readers.lost_spans import lost_spans
from kbert.tasks.readers.tag_schemes import split_tag, tag_labels
from kbert.tasks.readers.tagged_texts import TaggedText, text_of_words
from kbert.tasks.readers.tagged_words import tags_of_words
from kbert.tasks.readers.tagging import CONLL_ENDINGS, read_tagged_texts
from kbert.tasks.readers.word_tags import NO_TAG, are_word_tags
from kbert.tasks.rows.windowed_words import window_stride, words_of_windows
from kbert.tasks.rows.word_labels import IGNORED, labels_of_given_words, labels_of_spans
from kbert.tasks.text_task import same_text
from kbert.text.graph.encoder import GraphEncoder

_TEXTS_AT_ONCE = 512
_SPAN_METRICS = ("f1", "precision", "recall", "macro_f1")
_WORD_METRICS = ("accuracy", "macro_f1")
_LOG = logging.getLogger("kbert")


class TaggingTask(PartsExplainingTask, TrainableTask[TaggedText]):
    """A task that finds spans of a text and their types, or the tag of each word.

    Words are those of BERT's tokenizer: spaces and punctuation marks separate them, and each ideograph is a word. The
    first piece of a word has the label. A text that is longer than the model's input is split into overlapping windows.
    If a word is in two windows, the window in which it is farther from the edge counts.

    If the words of a file have tags of their own, a word of the file may have several words of the tokenizer. All of
    them are learnt with its tag, and the prediction for the first of them is that of the word.

    Args:
        labels: The tags in the order of the logits, such as O, B-PER, I-PER.
        crf: Whether a linear-chain CRF chooses the tags of a text together (arXiv 1508.01991).
        per_word: Whether each label is the tag of a single word, such as a part of speech, instead of encoding spans.

    Raises:
        ValueError: There are no labels; or they encode spans, and none is a tag with a type.
    """

    name: ClassVar[str] = "tagging"
    architecture = "BertForTokenClassification"
    main_metric = "f1"
    explained_as = "mean log odds of the label over the words of the span"
    pooled: ClassVar[bool] = False
    windowed: ClassVar[bool] = True
    examples_noun: ClassVar[str] = "texts"
    saved_fields: ClassVar[Mapping[str, Kind]] = {"labels": names, "crf": flag, "per_word": flag}
    optional_fields: ClassVar[Collection[str]] = ("per_word",)

    def __init__(self, labels: Sequence[str], *, crf: bool = False, per_word: bool = False) -> None:
        self.labels = list(labels)
        self.crf = crf
        self.per_word = per_word
        if per_word:
            self.main_metric = _WORD_METRICS[0]
        self.losses = ("negative_log_likelihood",) if crf else ("cross_entropy",)
        parts = [split_tag(label) for label in self.labels]
        self.types = sorted({kind for _, kind in parts if kind})
        if not self.labels or not (self.types or per_word):
            raise ValueError(f"labels must be tags, such as B-PER. Received: {self.labels!r:.60}")
        # Tables from tags to letters and types, for the graph.
        self._letters = np.array([LETTERS.index(letter) for letter, _ in parts], np.int32)
        self._types = np.array([self.types.index(kind) if kind else -1 for _, kind in parts], np.int32)

    # === Reading ===

    @classmethod
    def has_own_format(cls, path: PathLike) -> bool:
        """Returns whether the suffix is that of a CoNLL file."""
        return str(path).lower().endswith(CONLL_ENDINGS)

    @classmethod
    def parse_file(
        cls, path: PathLike, columns: Mapping[str, str], options: TaggingOptions, *, targets: bool, bad: BadRows
    ) -> list[TaggedText]:
        """Reads the texts of CoNLL files, JSON lines with offsets, or tables of words and tags."""
        return read_tagged_texts(
            path,
            columns,
            scheme=options.tag_scheme,
            form=options.table_format,
            targets=targets,
            bad=bad,
            strict=options.strict_tags,
            offsets=options.offsets,
        )

    @classmethod
    def from_examples(
        cls, examples: Sequence[TaggedText], path: PathLike, options: Mapping[str, Any] | TaskOptions | None = None
    ) -> TaggingTask:
        """Makes the task with the types of all spans of the examples, or with the tags of all their words."""
        chosen: TaggingOptions = cls.info().choose_options(options)
        if all(example.per_word for example in examples):
            tags = {tag for example in examples for tag in example.tags or ()} - {NO_TAG}
            if not tags:
                raise DataError(f"expected words with tags. Received: no tag but {NO_TAG}", path)
            if chosen.tag_scheme == "auto":
                _LOG.info("%s: each tag belongs to a single word (--tag-scheme words), not to a span", path)
            return cls(sorted(tags), crf=chosen.crf, per_word=True)
        types = sorted({span.label for example in examples for span in example.spans or ()})
        if not types:
            raise DataError("expected texts with spans. There are none in any of them", path)
        warn_of_similar_labels(types, path)
        return cls(tag_labels(types, chosen.scheme), crf=chosen.crf)

    @classmethod
    def from_foreign(cls, bundle: Bundle, *, paired: bool) -> TaggingTask | None:
        """Returns the task of a token classifier; None for other models.

        The model may also be one of kbert without kbert.json, which may have a CRF.
        """
        if bundle.architecture != cls.architecture:
            return None
        per_word = are_word_tags([bundle.labels])
        return cls(bundle.labels, crf=CRF_TENSOR in bundle.tensors, per_word=per_word)

    def foreign_config(self) -> dict[str, Any]:
        """Returns the keys of config.json for the names of the tags."""
        return label_names(self.labels)

    def keep_valid(
        self, examples: Sequence[TaggedText], path: PathLike, bad: BadRows | None = None
    ) -> list[TaggedText]:
        """Returns the texts whose types occur in training, and logs how many spans no prediction can equal."""
        found = super().keep_valid(examples, path, bad)
        lost = None if self.per_word else lost_spans(found)
        if lost is not None:
            _LOG.warning("%s: %s", path, lost.message(path))
        return found

    def group(self, example: TaggedText) -> str:
        """Returns the text, so that equal texts are not split between training and validation."""
        return same_text(example.text)

    def check_example(self, example: TaggedText) -> TaggedText:
        """Returns the example, or raises ValueError if the type of a span, or a tag, does not occur in training."""
        if self.per_word:
            return self._check_tags(example)
        for span in example.spans or ():
            if span.label not in self.types:
                types = ", ".join(self.types)
                raise ValueError(f"expected one of the types seen in training ({types}). Received {span.label!r}")
        return example

    def _check_tags(self, example: TaggedText) -> TaggedText:
        if example.tags is None:
            raise ValueError("expected words, each with a tag. Received: a text with spans")
        for tag in example.tags:
            if tag not in self.labels and tag != NO_TAG:
                known = ", ".join(self.labels)
                raise ValueError(f"expected one of the tags seen in training ({known}). Received {tag!r}")
        return example

    def extra_answers(self, example: TaggedText, answer: Mapping[str, Any]) -> dict[str, Any]:
        """Returns {"words": [{"text", "start", "end", "tag"}]}, if the text was given as words.

        There is one tag for each given word; the tags of spans are in IOB2. Tags of single words also have a "score".
        """
        if self.per_word:
            return {"words": given_words(example, answer["words"])} if example.words else {}
        spans = [(span["start"], span["end"], span["label"]) for span in answer["spans"]]
        tags = tags_of_words(example.words, spans)
        words = [
            {"text": example.text[start:end], "start": start, "end": end, "tag": tag}
            for (start, end), tag in zip(example.words, tags, strict=True)
        ]
        return {"words": words} if words else {}

    def examples_of_words(self, column: Sequence[Any]) -> list[TaggedText] | None:
        """Returns the texts of lists of words; None if the column holds anything else."""
        if not column or not all(
            isinstance(words, (list, tuple)) and all(isinstance(word, str) for word in words) for words in column
        ):
            return None
        for words in column:
            if not all(word.strip() for word in words):
                raise UsageError(f"expected words that are not empty. Received: {shown(words)}")
        return [text_of_words(words) for words in column]

    # === Texts to features ===

    @property
    def text_inputs(self) -> tuple[TextInput, ...]:
        """The input `text`."""
        return (TextInput("text", "text"),)

    def texts_of(self, examples: Sequence[TaggedText]) -> dict[str, list[Any]]:
        """Returns the texts."""
        return {"text": [example.text for example in examples]}

    def encode(self, encode: GraphEncoder, inputs: Tensors) -> dict[str, tf.Tensor]:
        """Returns windows over the texts, and the places of their words."""
        windows = encode.windows(inputs["text"], stride=window_stride(encode.sequence_length))
        words = words_of_windows(windows, encode)
        return {
            **windows.features,
            "text": inputs["text"],
            "word_mask": words.keep,
            "word_rows": words.rows,
            "word_starts": words.starts,
            "word_ends": words.ends,
            "window_rows": windows.rows,
            "token_starts": windows.starts,
            "token_ends": windows.ends,
            "in_text": windows.slides,
        }

    def training_rows(self, examples: Sequence[TaggedText], encode: GraphEncoder) -> TrainingRows:
        """Returns one row for each window, and the target "labels", int32 by token; -1 for tokens without a label."""
        specs = [text.spec for text in self.text_inputs]
        graph = tf.function(lambda text: self.encode(encode, {"text": text}), input_signature=specs, autograph=False)
        tokens, labels = TokenRows(), []
        for start in range(0, len(examples), _TEXTS_AT_ONCE):
            part = examples[start : start + _TEXTS_AT_ONCE]
            texts = strings([example.text for example in part])
            encoded = {name: value.numpy() for name, value in graph(texts).items()}
            inside = tokens.add(encoded)
            all_labels = np.full(inside.shape, IGNORED, np.int32)
            learn = labels_of_given_words if self.per_word else labels_of_spans
            all_labels[encoded["word_mask"]] = learn(self.labels, part, encoded["word_rows"], encoded["word_starts"])
            labels.append(all_labels[inside])
        return TrainingRows(*tokens.tokens(), {"labels": tokens.by_token(labels, padding=IGNORED, by_token=True)})

    def trivial_metrics(
        self, train: Sequence[TaggedText], validation: Sequence[TaggedText]
    ) -> tuple[str, dict[str, Any]]:
        """Returns the metrics of a model that finds no span, or that gives all words the most frequent tag."""
        if self.per_word:
            usual = most_frequent_tag(train)
            return f"gives each word the tag {usual!r}", self.evaluate(validation, constant_words(usual, validation))
        nothing = np.zeros((len(validation), 0))
        answers = dict.fromkeys(("labels", "starts", "ends"), nothing)
        return "finds no span", self.evaluate(validation, answers | {"count": np.zeros(len(validation), int)})

    # === Model ===

    def build(self, encoder: BertEncoder) -> TokenClassificationModel:
        """Makes the encoder with a head for these tags, and with a CRF if the task has one."""
        return TokenClassificationModel(encoder, len(self.labels), crf=self.crf)

    def with_main_metric(self, metric: str) -> TaggingTask:
        """Returns the task with this main metric: "loss", or one that its kind of tags has.

        Raises:
            UsageError: The task has no such metric.
        """
        names = (*(_WORD_METRICS if self.per_word else _SPAN_METRICS), LOSS)
        if metric not in names:
            kind = "tags of single words" if self.per_word else "spans"
            raise UsageError(
                f"main_metric must be one of {', '.join(names)} for {kind}. Received: main_metric={shown(metric)}"
            )
        return super().with_main_metric(metric)  # type: ignore[return-value]

    @property
    def head_row_names(self) -> Sequence[str]:
        """The tags, in the order of the logits."""
        return self.labels

    def loss_sums(self, outputs: Any, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns sums over words."""
        labels, logits = batch["labels"], outputs["logits"]
        counted = labels != IGNORED
        weights = tf.cast(counted, tf.float32)
        labels = tf.maximum(labels, 0)
        right = weights * tf.cast(tf.argmax(logits, -1, tf.int32) == labels, tf.float32)
        if self.crf:
            loss = -tf.reduce_sum(log_likelihood(logits, labels, counted, outputs))
        else:
            loss = tf.reduce_sum(weights * tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        return {self.losses[0]: loss, "tag_accuracy": tf.reduce_sum(right)}

    def loss_weights(self, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns the number of words."""
        words = tf.maximum(tf.reduce_sum(tf.cast(batch["labels"] != IGNORED, tf.float32)), 1.0)
        return {self.losses[0]: words, "tag_accuracy": words}

    # === Answers ===

    def served_answers(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Returns the spans of each text, in order; N is the largest number of spans in a text of the batch.

        `count`, the number of spans, is int32 [B]; `labels` and `texts`, string [B, N]; `starts` and `ends`, character
        offsets in the text, int32 [B, N]; `scores`, the mean probability of the tags of a span, float32 [B, N]. If the
        labels are tags of single words, there is an answer for each word, with `tags` instead of `labels`.
        """
        _, tags, scores = self._word_tags(outputs, encoded)
        if self.per_word:
            return served_words(self.labels, tags, scores, encoded, encoded["text"])
        return served_spans(
            self.types, tf.gather(self._letters, tags), tf.gather(self._types, tags), scores, encoded, encoded["text"]
        )

    def _word_tags(self, outputs: Tensors, encoded: Tensors) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns the logits of all words, float32 [N, C], their tags, int32 [N], and the probabilities of the tags."""
        logits = tf.boolean_mask(outputs["logits"], encoded["word_mask"])
        tags = self._decode(logits, outputs, encoded["word_rows"], tf.size(encoded["text"]))
        return logits, tags, tf.gather(tf.nn.softmax(logits), tags, batch_dims=1)

    def _decode(self, logits: tf.Tensor, outputs: Tensors, rows: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        """Returns the tag of each word, int32 [N], from logits [N, C]."""
        if not self.crf:
            return tf.argmax(logits, -1, tf.int32)
        sentences = tf.RaggedTensor.from_value_rowids(logits, tf.cast(rows, tf.int64), tf.cast(count, tf.int64))
        # The padding adds one place, so that the tensor is not empty if there are no words.
        emissions = tf.pad(sentences.to_tensor(), [[0, 0], [0, 1], [0, 0]])
        emissions = tf.ensure_shape(emissions, [None, None, len(self.labels)])
        mask = tf.sequence_mask(sentences.row_lengths(), tf.shape(emissions)[1])
        return tf.boolean_mask(viterbi(emissions, mask, outputs), mask)

    @property
    def constant_outputs(self) -> tuple[str, ...]:
        """The tables of the CRF, if the task has one."""
        return CRF_TABLES if self.crf else ()

    def token_outputs(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Returns the `probabilities` of the tags of each token, float32 [B, S, C]."""
        return {"probabilities": tf.nn.softmax(outputs["logits"])}

    def readable_answer(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Returns {"spans": [{"start", "end", "label", "text", "score"}]}, or {"words": …}; see `readable_words`."""
        if self.per_word:
            return {"words": readable_words(row)}
        return {"spans": readable_spans(row)}

    def text_line(self, prediction: Mapping[str, Any]) -> str:
        """Formats the spans and the text; for tags of single words, each word with its tag."""
        if self.per_word:
            return " ".join(f"{word['text']}/{word['tag']}" for word in prediction["words"])
        spans = "; ".join(f"{span['label']} {span['text']!r} {span['score']:.2f}" for span in prediction["spans"])
        return f"{spans or '-'}\t{prediction['text']}"

    def evaluate(self, examples: Sequence[TaggedText], answers: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Returns precision, recall and F1 of spans. A span is right if its type, start and end are right.

        Spaces, invisible characters and combining marks at the edges of a span are ignored, since tokens have none. If
        words have tags of their own, the metrics are those of `word_scores`, such as the accuracy over words.
        """
        if self.per_word:
            return word_scores(self.labels, examples, answers)
        return span_scores(examples, answers)

    # === Explanations ===

    @property
    def explained_labels(self) -> Sequence[str]:
        """The types of spans, or the tags of single words."""
        return self.labels if self.per_word else self.types

    @property
    def caller_choices(self) -> Sequence[str]:
        """A label and a span."""
        return LABEL, SPAN

    @property
    def _kinds(self) -> tf.Tensor:
        """The index of the explained label of each tag, int32 [C]; -1 for O."""
        return tf.range(len(self.labels)) if self.per_word else tf.constant(self._types)

    def explained_part(
        self, encode: GraphEncoder, encoded: Tensors, outputs: Tensors, chosen: Tensors
    ) -> ExplainedPart:
        """Returns the span whose label is explained; see `explained_spans`."""
        logits, tags, scores = self._word_tags(outputs, encoded)
        if self.per_word:
            found = FoundSpans(encoded["word_rows"], encoded["word_starts"], encoded["word_ends"], tags, scores)
        else:
            found = found_spans(tf.gather(self._letters, tags), tf.gather(self._types, tags), scores, encoded)
        return explained_span_part(
            logits,
            self._kinds,
            self.explained_labels,
            found,
            encoded,
            chosen,
            [feature.name for feature in self.model_features],
        )

    def explained_number(self, outputs: Tensors, target: tf.Tensor) -> tf.Tensor:
        """Returns the mean log odds that the words of the span have the label."""
        return mean_log_odds(outputs["logits"], self._kinds, target)
