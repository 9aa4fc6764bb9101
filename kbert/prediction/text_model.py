"""A model from text to answers as one graph."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from kbert.tasks.protocol.answering import AnsweringTask
from kbert.text.graph.encoder import GraphEncoder

TensorFunction = Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]
"""A function from tensors by name to tensors by name."""

ROWS_AT_ONCE = 64
"""The number of windows of long texts that the model processes together."""


class TextModel(tf.Module):
    """A model from text to answers as one graph. Evaluation, export and serving all use it.

    Args:
        task: The task, which converts the outputs of the model to answers.
        model: The Keras model that `task.build` returned.
        encode: Converts texts to features.
    """

    def __init__(self, task: AnsweringTask[Any], model: Any, encode: GraphEncoder) -> None:
        super().__init__(name="text_model")
        self.task = task
        self.model = model
        self.encode = encode
        self.text_specs = texts = [text.spec for text in task.text_inputs]
        ids = [
            tf.TensorSpec([None] * (1 + len(feature.dimensions)), feature.dtype, name=feature.name)
            for feature in task.model_features
        ]
        self.from_text = signature_function(for_any_count(self._from_text), texts)
        self.from_tokens = signature_function(for_any_count(self._from_tokens), ids)

    def _from_text(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return self._from_prompted(self.task.add_prompts(inputs))

    def _from_prompted(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        encoded = self.task.encode(self.encode, inputs)
        outputs = self.outputs(encoded)
        second = self.task.second_pass(self.encode, outputs, encoded)
        if second is not None:
            encoded, outputs = second, self.outputs(second)
        return self.task.served_answers(outputs, encoded)

    def without_prompts(self) -> Any:
        """Returns a tf.function like `from_text`, for texts that already have their prompts. It is not exported."""
        return signature_function(self._from_prompted, [text.spec for text in self.task.evaluation_inputs])

    def _from_tokens(self, encoded: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return self.task.token_outputs(self._batch_outputs(encoded), encoded)

    def outputs(self, encoded: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the raw outputs of the model for what `task.encode` returned."""
        batch = {feature.name: encoded[feature.name] for feature in self.task.model_features}
        return _in_parts(self._batch_outputs, batch) if self.task.windowed else self._batch_outputs(batch)

    def _batch_outputs(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return self.task.answer_outputs(self.model, batch, self.encode)


def for_any_count(call: TensorFunction) -> TensorFunction:
    """Returns a function like `call` that also answers inputs without rows, with outputs without rows.

    Without rows the layers would fail: no row tells how long a row is.

    Args:
        call: A function whose outputs have a row for each row of the inputs, which have at least one row.
    """

    def function(inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        count = tf.shape(next(iter(inputs.values())))[0]
        missing = 1 - tf.minimum(count, 1)
        filled = {}
        for name, values in inputs.items():
            row = tf.zeros(tf.concat([[missing], tf.shape(values)[1:]], 0), values.dtype)
            filled[name] = tf.concat([values, row], 0)
        return {name: values[:count] for name, values in call(filled).items()}

    return function


def signature_function(call: TensorFunction, specs: Sequence[tf.TensorSpec]) -> Any:
    """Returns a tf.function with an argument for each spec, of the same name. It calls `call` with them as a dict."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature([inspect.Parameter(spec.name, kind) for spec in specs])

    def function(*values: tf.Tensor, **named: tf.Tensor) -> dict[str, tf.Tensor]:
        return call(dict(signature.bind(*values, **named).arguments))

    function.__signature__ = signature  # type: ignore[attr-defined]
    return tf.function(function, input_signature=specs, autograph=False)


def _in_parts(model: TensorFunction, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Runs a model on parts of ROWS_AT_ONCE rows, since all windows of a long text may not fit in memory."""
    first = {name: values[:ROWS_AT_ONCE] for name, values in batch.items()}
    total = tf.shape(next(iter(batch.values())))[0]
    outputs = model(first)

    def more(begin: tf.Tensor, so_far: dict[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        part = model({name: values[begin : begin + ROWS_AT_ONCE] for name, values in batch.items()})
        return begin + ROWS_AT_ONCE, {name: tf.concat([so_far[name], part[name]], 0) for name in so_far}

    shapes = {name: tf.TensorShape([None, *values.shape[1:]]) for name, values in outputs.items()}
    _, outputs = tf.while_loop(
        lambda begin, _: begin < total,
        more,
        (tf.constant(ROWS_AT_ONCE), outputs),
        shape_invariants=(tf.TensorShape([]), shapes),
        parallel_iterations=1,
    )
    return outputs
