"""SavedModels for the conformance table: tiny graphs that are made by hand, of TensorFlow 1 and of TensorFlow 2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

v1 = tf.compat.v1
Tensors = dict[str, Any]
# The signatures of a model: name -> (inputs, outputs) or (inputs, outputs, method name).
Signatures = dict[str, tuple[Any, ...]]

PREDICT, CLASSIFY, REGRESS = (f"tensorflow/serving/{name}" for name in ("predict", "classify", "regress"))
ECHO_TYPES = (
    *("float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("bool", "string", "float16", "bfloat16", "complex64"),
)


def save_models(folder: Path) -> None:
    """Writes all models as FOLDER/NAME/VERSION."""
    _save_v1(folder / "half_plus_two" / "00000123", _half_plus_two)
    _save_v1(folder / "echo" / "1", _echo)
    _save_v1(folder / "trio" / "1", _trio)
    _save_v1(folder / "outputs" / "1", _outputs)
    _save_v1(folder / "examples" / "1", _examples)
    _save_v1(folder / "misfits" / "1", _misfits)
    _save_v1(folder / "troubles" / "1", _troubles)
    _save_v1(folder / "defaults" / "1", _defaults, defaults={"serving_default": {"b": 10.0}})
    for version in (1, 2, 3):
        _save_v1(folder / "versions" / str(version), lambda version=version: _plus(float(version)))
    _save_v2(folder / "half_plus_two_tf2" / "1")
    tf.saved_model.save(tf.Module(), str(folder / "unsigned" / "1"))


def _save_v1(
    folder: Path, build: Callable[[], Signatures], *, defaults: dict[str, dict[str, float]] | None = None
) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        signatures = {}
        for name, (inputs, outputs, *method) in build().items():
            signatures[name] = v1.saved_model.build_signature_def(
                {key: v1.saved_model.build_tensor_info(tensor) for key, tensor in inputs.items()},
                {key: v1.saved_model.build_tensor_info(tensor) for key, tensor in outputs.items()},
                method[0] if method else PREDICT,
            )
            for key, value in (defaults or {}).get(name, {}).items():
                signatures[name].defaults[key].CopyFrom(tf.make_tensor_proto(value))
        # The operation that a loader runs once: it adds a signature for itself.
        start = tf.group(v1.tables_initializer(), name="start")
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            session, [v1.saved_model.tag_constants.SERVING], signature_def_map=signatures, main_op=start
        )
        builder.save()


def _half_plus_two() -> Signatures:
    half, two, three = (v1.Variable(value, name=name) for name, value in (("a", 0.5), ("b", 2.0), ("c", 3.0)))
    examples = v1.placeholder(tf.string, name="tf_example")
    features = tf.io.parse_example(
        examples,
        {
            "x": tf.io.FixedLenFeature([1], tf.float32),
            "x2": tf.io.FixedLenFeature([1], tf.float32, default_value=[0.0]),
        },
    )
    # The signatures say [any, 1]; a session computes other shapes too.
    for feature in features.values():
        feature.set_shape([None, 1])
    x, x2 = tf.identity(features["x"], name="x"), tf.identity(features["x2"], name="x2")
    y = tf.add(half * x, two, name="y")
    y2 = tf.add(half * x, three, name="y2")
    y3 = tf.add(half * x2, three, name="y3")
    return {
        "serving_default": ({"x": x}, {"y": y}),
        "regress_x_to_y": ({"inputs": examples}, {"outputs": y}, REGRESS),
        "regress_x_to_y2": ({"inputs": examples}, {"outputs": y2}, REGRESS),
        "regress_x2_to_y3": ({"inputs": x2}, {"outputs": y3}, REGRESS),
        "classify_x_to_y": ({"inputs": examples}, {"scores": y}, CLASSIFY),
        "classify_x2_to_y3": ({"inputs": x2}, {"scores": y3}, CLASSIFY),
    }


class _HalfPlusTwo(tf.Module):
    """y = x / 2 + 2, as TensorFlow 2 saves it."""

    def __init__(self) -> None:
        super().__init__()
        self.half, self.two = tf.Variable(0.5), tf.Variable(2.0)

    def _y(self, x: Any) -> Any:
        return self.half * x + self.two

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, name="x")])
    def predict(self, x: Any) -> Tensors:
        return {"y": self._y(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def classify(self, inputs: Any) -> Tensors:
        return {"scores": self._y(_feature(inputs, "x", [1], tf.float32))}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def regress(self, inputs: Any) -> Tensors:
        return {"outputs": self._y(_feature(inputs, "x", [1], tf.float32))}


def _save_v2(folder: Path) -> None:
    model = _HalfPlusTwo()
    signatures = {"serving_default": model.predict, "classify_x_to_y": model.classify, "regress_x_to_y": model.regress}
    tf.saved_model.save(model, str(folder), signatures=signatures)


def _echo() -> Signatures:
    """A signature for each type, named after it, which returns what it receives in any shape."""
    signatures: Signatures = {}
    for name in ECHO_TYPES:
        x = v1.placeholder(tf.as_dtype(name), name=f"{name}_x")
        signatures[name] = ({"x": x}, {"y": tf.identity(x, name=f"{name}_y")})
    return signatures | {"serving_default": signatures["float32"]}


def _trio() -> Signatures:
    """Three inputs of different types, which are returned."""
    tag, signal = v1.placeholder(tf.string, name="tag"), v1.placeholder(tf.float32, name="signal")
    sensor = v1.placeholder(tf.int32, name="sensor")
    inputs = {"tag": tag, "signal": signal, "sensor": sensor}
    return {"serving_default": (inputs, {name: tf.identity(tensor) for name, tensor in inputs.items()})}


def _outputs() -> Signatures:
    """Outputs of unusual shapes, names and types."""
    x = v1.placeholder(tf.float32, [None], name="x")
    text = v1.placeholder(tf.string, [None], name="text")
    scalar = v1.placeholder(tf.int32, [], name="scalar")
    longer = tf.concat([x, [0.5]], 0)
    # Its content is there once the initial operation has run.
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["one", "two"], [1, 2]), default_value=-1)
    return {
        "serving_default": ({"x": x}, {"y": tf.identity(x)}),
        "total": ({"x": x}, {"total": tf.reduce_sum(x)}),
        "total_and_x": ({"x": x}, {"total": tf.reduce_sum(x), "x_again": tf.identity(x)}),
        "uneven": ({"x": x}, {"short": tf.identity(x), "long": longer}),
        "no_rows": ({"x": x}, {"y": x[:0]}),
        "no_rows_of_two": ({"x": x}, {"y": tf.zeros([0, 2]), "z": tf.zeros([0, 3])}),
        "constant": ({}, {"seven": tf.constant(7.0, name="seven")}),
        "scalar": ({"n": scalar}, {"double": scalar * 2}),
        "text_bytes": ({"text": text}, {"text_bytes": tf.identity(text)}),
        "text_and_bytes": ({"text": text}, {"text": tf.identity(text), "raw_bytes": tf.identity(text)}),
        "numbers_bytes": ({"x": x}, {"y_bytes": tf.identity(x)}),
        "complex": ({"x": x}, {"y": tf.cast(x, tf.complex64)}),
        "half": ({"x": x}, {"y": tf.cast(x, tf.float16)}),
        "lookup": ({"text": text}, {"number": table.lookup(text)}),
        "nonfinite": ({"x": x}, {"y": x / 0.0}),
    }


def _feature(examples: Any, name: str, shape: list[int], dtype: Any, default: Any = None) -> Any:
    return tf.io.parse_example(examples, {name: tf.io.FixedLenFeature(shape, dtype, default_value=default)})[name]


def _examples() -> Signatures:
    """Signatures for tf.Example, which return the features."""
    examples = v1.placeholder(tf.string, name="examples")
    names = _feature(examples, "names", [2], tf.string, [b"none", b"none"])
    ratings = _feature(examples, "ratings", [2], tf.float32, [0.0, 0.0])
    ages = _feature(examples, "ages", [2], tf.int64, [0, 0])
    query = _feature(examples, "query", [1], tf.string, [b"none"])
    rating = _feature(examples, "rating", [], tf.float32)
    inputs = {"inputs": examples}
    return {
        "serving_default": (inputs, {"classes": names, "scores": ratings}, CLASSIFY),
        "classes_only": (inputs, {"classes": names}, CLASSIFY),
        "scores_only": (inputs, {"scores": ratings}, CLASSIFY),
        "ages": (inputs, {"classes": tf.strings.as_string(ages)}, CLASSIFY),
        "query": (inputs, {"classes": query}, CLASSIFY),
        # The name of the method is that of predict: it is not looked at.
        "named_predict": (inputs, {"classes": names, "scores": ratings}, PREDICT),
        "rating": (inputs, {"outputs": rating}, REGRESS),
        "rating_column": (inputs, {"outputs": rating[:, None]}, PREDICT),
    }


def _misfits() -> Signatures:
    """Signatures that a classifier or a regressor cannot have."""
    examples = v1.placeholder(tf.string, name="examples")
    other = v1.placeholder(tf.string, name="other")
    inputs = {"inputs": examples}
    count = tf.size(examples)
    one, two = tf.ones([count, 1]), tf.ones([count, 2])
    label = tf.fill([count, 1], "label")
    return {
        "two_inputs": ({"inputs": examples, "other": other}, {"scores": one}),
        "no_outputs_known": (inputs, {"logits": one}),
        "three_outputs": (inputs, {"scores": one, "classes": label, "more": one}),
        "flat_scores": (inputs, {"scores": one[:, 0]}),
        "double_scores": (inputs, {"scores": tf.cast(one, tf.float64)}),
        "number_classes": (inputs, {"classes": tf.cast(one, tf.int64)}),
        "one_row_of_scores": (inputs, {"scores": tf.ones([1, 1])}),
        "one_row_of_classes": (inputs, {"classes": tf.fill([1, 1], "label")}),
        "more_scores_than_classes": (inputs, {"scores": two, "classes": label}),
        "wide_outputs": (inputs, {"outputs": two}),
        "double_outputs": (inputs, {"outputs": tf.cast(one, tf.float64)}),
        "one_output": (inputs, {"outputs": tf.ones([1])}),
        "two_outputs": (inputs, {"outputs": one, "more": one}),
    }


def _troubles() -> Signatures:
    """Graphs that fail, and one that takes its time."""
    text = v1.placeholder(tf.string, [None], name="text")
    rounds = v1.placeholder(tf.int32, [None], name="rounds")
    slow = tf.while_loop(lambda i: i < rounds[0], lambda i: [i + 1], [tf.constant(0)])[0]
    return {
        "serving_default": ({"text": text}, {"number": tf.strings.to_number(text)}),
        "slow": ({"rounds": rounds}, {"rounds": slow[None]}),
    }


def _defaults() -> Signatures:
    """The sum of two inputs; the second one has a default value in the signature."""
    a, b = v1.placeholder(tf.float32, name="a"), v1.placeholder(tf.float32, name="b")
    return {"serving_default": ({"a": a, "b": b}, {"sum": a + b})}


def _plus(amount: float) -> Signatures:
    x = v1.placeholder(tf.float32, name="x")
    return {"serving_default": ({"x": x}, {"y": tf.add(x, amount, name="y")})}
