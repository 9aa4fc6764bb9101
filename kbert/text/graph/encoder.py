"""Converts texts to the encoder's features in a TensorFlow graph: [CLS] text [SEP] pair [SEP], truncated and padded."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from kbert import features
from kbert.errors import UsageError
from kbert.text.graph.tokenizer import GraphTokenizer
from kbert.text.truncation import Truncation, check_truncation


class GraphWindows(NamedTuple):
    """The windows of texts or pairs, in the order of the texts. W is their number."""

    features: dict[str, tf.Tensor]
    """The features of `GraphEncoder`, int32 [W, S]."""
    rows: tf.Tensor
    """The index of the text that each window belongs to, int32 [W]."""
    starts: tf.Tensor
    """The start of each token in its text, in characters, int32 [W, S]; 0 for special tokens."""
    ends: tf.Tensor
    """The end of each token in its text, in characters, int32 [W, S]; 0 for special tokens."""
    slides: tf.Tensor
    """Whether each token is from the text that is split into windows, such as a question's context, bool [W, S]."""


class GraphEncoder(tf.Module):
    """Encodes texts or pairs in a TensorFlow graph.

    Args:
        tokenizer: The tokenizer.
        sequence_length: The maximum length of a sequence in tokens, including special tokens.
        truncation: The text of a pair that loses tokens from its end; "longest_first" removes one token at a time from
            the longer text. If the other text alone leaves no room, the graph fails with an InvalidArgumentError.

    Raises:
        UsageError: `sequence_length` leaves no room for text, or `truncation` is invalid.
    """

    def __init__(
        self, tokenizer: GraphTokenizer, sequence_length: int, *, truncation: Truncation = "longest_first"
    ) -> None:
        super().__init__(name="graph_encoder")
        if sequence_length < 5:
            raise UsageError(f"sequence_length must be at least 5. Received: sequence_length={sequence_length}")
        check_truncation(truncation)
        self.tokenizer = tokenizer
        self.sequence_length = sequence_length
        self.truncation = truncation

    def __call__(self, texts: tf.Tensor, pairs: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Encodes texts or pairs.

        Args:
            texts: The texts, strings [B].
            pairs: The second texts of pairs, strings [B].

        Returns:
            The features, int32 [B, S], where S is the length of the longest sequence.
        """
        return self.features(*self.ragged(texts, pairs))

    def ragged(
        self, texts: tf.Tensor, pairs: tf.Tensor | None = None, *, keep_end: bool = False
    ) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
        """Encodes texts or pairs without padding.

        Args:
            texts: The texts, strings [B].
            pairs: The second texts of pairs, strings [B].
            keep_end: Whether the first texts of pairs lose their beginning instead of their end if they are too long.

        Returns:
            The ids and type ids, RaggedTensor int32 [B, None] each.
        """
        second = None if pairs is None else self.tokenizer(pairs)
        return self.joined(self.tokenizer(texts), second, keep_end=keep_end)

    def joined(
        self, first: tf.RaggedTensor, second: tf.RaggedTensor | None = None, *, keep_end: bool = False
    ) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
        """Truncates token ids, and adds special tokens.

        Args:
            first: The ids of the texts, RaggedTensor int32 [B, None].
            second: The ids of the second texts of pairs, RaggedTensor int32 [B, None].
            keep_end: See `ragged`.

        Returns:
            The ids and type ids, RaggedTensor int32 [B, None] each.
        """
        if second is None:
            return self._join(first[:, : self.sequence_length - 2], None)
        kept, second = _truncate(first, second, self.sequence_length - 3, self.truncation)
        if keep_end:
            ends = first.row_splits[1:]
            indices = tf.ragged.range(ends - kept.row_lengths(), ends)
            kept = indices.with_flat_values(tf.gather(first.flat_values, indices.flat_values))
        return self._join(kept, second)

    def windows(
        self, texts: tf.Tensor, pairs: tf.Tensor | None = None, *, stride: int, truncation: Truncation = "only_second"
    ) -> GraphWindows:
        """Encodes texts or pairs in as many windows as necessary, without truncation.

        The windows are the same as those of `Tokenizer.windows`. If a text needs several windows, and the other text of
        its pair leaves no more room than `stride`, the graph fails with an InvalidArgumentError.

        Args:
            texts: The texts, such as questions, strings [B].
            pairs: The second texts of pairs, such as contexts, strings [B].
            stride: The number of tokens of the split text that consecutive windows share.
            truncation: The text of a pair that is split into windows: "only_first" or "only_second".

        Raises:
            UsageError: `stride` is negative or leaves no room, or `truncation` does not name a text of a pair.
        """
        if pairs is not None and truncation not in ("only_first", "only_second"):
            raise UsageError(
                f"windows over a pair need truncation 'only_first' or 'only_second'. Received: {truncation!r}"
            )
        room = self.sequence_length - (2 if pairs is None else 3)
        if not 0 <= stride < room:
            raise UsageError(f"stride must be at least 0, and less than {room}. Received: stride={stride}")
        first = self.tokenizer.with_offsets(texts)
        if pairs is None:
            spans = _Spans.over(
                first[0].row_lengths(), tf.fill([first[0].nrows()], tf.constant(room, tf.int64)), stride
            )
            parts = [(spans.cut(each), None) for each in first]
        else:
            second = self.tokenizer.with_offsets(pairs)
            sliding, fixed = (first, second) if truncation == "only_first" else (second, first)
            spans = _Spans.over(sliding[0].row_lengths(), room - fixed[0].row_lengths(), stride)
            both = [(spans.cut(a), tf.gather(b, spans.rows)) for a, b in zip(sliding, fixed, strict=True)]
            parts = both if truncation == "only_first" else [(b, a) for a, b in both]
        (ids, type_ids), starts, ends = self._join(*parts[0]), _surround(*parts[1]), _surround(*parts[2])
        slides_first = pairs is None or truncation == "only_first"
        flags = [
            None if part is None else tf.ones_like(part) * int(slides_first == (place == 0))
            for place, part in enumerate(parts[0])
        ]
        return GraphWindows(
            features=self.features(ids, type_ids),
            rows=tf.cast(spans.rows, tf.int32),
            starts=starts.to_tensor(),
            ends=ends.to_tensor(),
            slides=_surround(*flags).to_tensor() == 1,
        )

    def features(self, ids: tf.RaggedTensor, type_ids: tf.RaggedTensor) -> dict[str, tf.Tensor]:
        """Pads the ids and type ids of `ragged`, and returns the features, int32 [B, S]."""
        return {
            features.INPUT_WORD_IDS.name: ids.to_tensor(self.tokenizer.vocabulary.pad_id),
            features.INPUT_MASK.name: tf.ones_like(ids).to_tensor(),
            features.INPUT_TYPE_IDS.name: type_ids.to_tensor(),
        }

    def _join(self, first: tf.RaggedTensor, second: tf.RaggedTensor | None) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
        """Returns ids and type ids with special tokens."""
        vocabulary = self.tokenizer.vocabulary
        ids = _surround(first, second, begin=vocabulary.cls_id, end=vocabulary.sep_id)
        if second is None:
            return ids, tf.zeros_like(ids)
        left = _column(first, 0), tf.zeros_like(first), _column(first, 0)
        return ids, tf.concat([*left, tf.ones_like(second), _column(second, 1)], 1)


class _Spans(NamedTuple):
    """The ranges of tokens in windows, each within a row of tokens."""

    rows: tf.Tensor
    """The row of each range, int64 [W]."""
    starts: tf.Tensor
    """The first token of each range in its row, int64 [W]."""
    lengths: tf.Tensor
    """The number of tokens in each range, int64 [W]."""

    @classmethod
    def over(cls, lengths: tf.Tensor, room: tf.Tensor, stride: int) -> _Spans:
        """Returns the windows of `room` tokens over rows of `lengths` tokens, int64 [B] each (see `window_starts`)."""
        fits = lengths <= room
        too_narrow = tf.debugging.Assert(
            tf.reduce_all(fits | (room > stride)),
            ["the text that does not slide must leave more room than the stride. Received room, stride:", room, stride],
        )
        with tf.control_dependencies([too_narrow] if too_narrow is not None else []):
            step = tf.where(fits, tf.ones_like(room), room - stride)
        counts = tf.where(fits, tf.ones_like(lengths), (lengths - room + step - 1) // step + 1)
        places = tf.ragged.range(counts)
        rows = places.value_rowids()
        starts = places.flat_values * tf.gather(step, rows)
        return cls(rows, starts, tf.minimum(tf.gather(lengths, rows) - starts, tf.gather(room, rows)))

    def cut(self, values: tf.RaggedTensor) -> tf.RaggedTensor:
        """Returns the ranges of `values`, RaggedTensor [W, None]."""
        begin = tf.gather(values.row_starts(), self.rows) + self.starts
        indices = tf.ragged.range(begin, begin + self.lengths)
        return indices.with_flat_values(tf.gather(values.flat_values, indices.flat_values))


def _column(rows: tf.RaggedTensor, value: int) -> tf.RaggedTensor:
    """Returns a column that contains `value` in each row."""
    count = rows.nrows()
    return tf.RaggedTensor.from_row_lengths(tf.fill([count], value), tf.ones([count], tf.int64), validate=False)


def _surround(
    first: tf.RaggedTensor, second: tf.RaggedTensor | None, *, begin: int = 0, end: int = 0
) -> tf.RaggedTensor:
    """Returns values of tokens with `begin` for [CLS] before them, and `end` for [SEP] after each text."""
    parts = [_column(first, begin), first, _column(first, end)]
    return tf.concat(parts if second is None else [*parts, second, _column(first, end)], 1)


def _truncate(
    first: tf.RaggedTensor, second: tf.RaggedTensor, room: int, truncation: Truncation
) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    """Truncates rows of tokens by the rule of `truncation.kept_lengths`."""
    lengths = first.row_lengths(), second.row_lengths()
    if truncation == "longest_first":
        keep_first = tf.minimum(lengths[0], tf.maximum(room - lengths[1], (room + 1) // 2))
        keep_second = tf.minimum(lengths[1], tf.maximum(room - lengths[0], room // 2))
        return _keep(first, keep_first), _keep(second, keep_second)
    fixed = lengths[1] if truncation == "only_first" else lengths[0]
    fits = lengths[0] + lengths[1] <= room
    no_room = tf.debugging.Assert(
        tf.reduce_all(fits | (fixed < room)),
        [f"truncation {truncation} must leave room beside the other text. Received its tokens, room:", fixed, room],
    )
    with tf.control_dependencies([no_room] if no_room is not None else []):
        left = room - fixed
    if truncation == "only_first":
        return _keep(first, tf.where(fits, lengths[0], left)), second
    return first, _keep(second, tf.where(fits, lengths[1], left))


def _keep(rows: tf.RaggedTensor, lengths: tf.Tensor) -> tf.RaggedTensor:
    positions = tf.ragged.range(rows.row_lengths())
    kept = positions.flat_values < tf.gather(lengths, positions.value_rowids())
    return tf.ragged.boolean_mask(rows, rows.with_flat_values(kept))
