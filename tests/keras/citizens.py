"""Checks that every public layer and model behaves as Keras expects, on any backend.

As a program (python FILE), it runs all checks on the backend that KERAS_BACKEND names, and prints a line for each.
"""

import json
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
from keras import ops

from kbert.config import BertConfig
from kbert.errors import KbertError
from kbert.layers.attention import AttentionBias, SelfAttention
from kbert.layers.bottleneck import Bottleneck
from kbert.layers.crf import ConditionalRandomField
from kbert.layers.dropout import Dropout
from kbert.layers.embeddings import Embeddings
from kbert.layers.encoder_block import EncoderBlock
from kbert.layers.heads import ClassificationHead, MaskedLanguageModelHead, Pooler
from kbert.layers.normalization import LayerNorm
from kbert.layers.padding import PaddedRows, TokenRow
from kbert.layers.projection import Projection
from kbert.models.classification import ClassificationModel
from kbert.models.embedding import EmbeddingModel
from kbert.models.encoder import BertEncoder
from kbert.models.masked_language_model import MaskedLanguageModel
from kbert.models.multiple_choice import MultipleChoiceModel
from kbert.models.prefix_language_model import PrefixLanguageModel
from kbert.models.pretraining import PretrainingModel
from kbert.models.question_answering import QuestionAnsweringModel
from kbert.models.ranking import RankingModel
from kbert.models.regression import RegressionModel
from kbert.models.relations import RelationModel
from kbert.models.semantic_roles import SemanticRolesModel
from kbert.models.token_classification import TokenClassificationModel
from kbert.optimizers.adamw import AdamW
from kbert.optimizers.lamb import Lamb
from kbert.optimizers.muon import Muon
from kbert.optimizers.sgd import SGD
from kbert.optimizers.warmup_schedule import WarmupSchedule

CONFIG = BertConfig(
    vocab_size=23,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=16,
    classifier_dropout=0.2,
)
REFUSED = ("bfloat16", "float16", "float64", "int8", "int8_from_mixed_bfloat16", "no such policy")

_RNG = np.random.default_rng(0)
_MASK = (np.arange(6) < np.array([[6], [4], [1]])).astype(np.int32)
_IDS = (_RNG.integers(5, 23, (3, 6)) * _MASK).astype(np.int32)
_TYPES = ((np.arange(6) >= 3) * _MASK).astype(np.int32)
_HIDDEN = _RNG.normal(size=(3, 6, 16)).astype(np.float32)
_BIAS = ((1.0 - _MASK) * -1e4)[:, None, None, :].astype(np.float32)
_POSITIONS = np.array([[1, 4], [2, 0], [0, 0]], np.int32)
_TABLE = _RNG.normal(size=(23, 16)).astype(np.float32)
_PLACES = np.flatnonzero(_MASK).astype(np.int32)
_TOKENS = np.where(_MASK.ravel() > 0, np.cumsum(_MASK) - 1, len(_PLACES)).reshape(3, 6).astype(np.int32)

_FEATURES = {"input_word_ids": _IDS, "input_mask": _MASK, "input_type_ids": _TYPES}
_CHOICES = {name: np.stack([values, values[::-1]], 1) for name, values in _FEATURES.items()}
_RELATED = {**_FEATURES, "entity_positions": _POSITIONS}
_PREDICTED = {**_FEATURES, "masked_lm_positions": _POSITIONS, "masked_lm_weights": np.ones((3, 2), np.float32)}
_PACKED = {
    **_FEATURES,
    "input_positions": np.tile(np.array([0, 1, 2, 0, 1, 2], np.int32), (3, 1)),
    "input_example_ids": np.tile(np.array([1, 1, 1, 2, 2, 2], np.int32), (3, 1)) * _MASK,
    "next_sentence_positions": np.tile(np.array([0, 3], np.int32), (3, 1)),
}


class Case:
    """A class, the arguments it is made with, and what it is called with.

    Args:
        kind: The class.
        arguments: The arguments of the constructor, without `dtype`.
        inputs: Arrays in order, or a dict of them.
        multiplies: Whether it has matrix products whose precision the dtype policy says.
        dynamic: Whether the shapes of its outputs are known only when it runs.
        name: Beside that of the class.
    """

    def __init__(self, kind, arguments, inputs, *, multiplies=True, name=""):
        self.kind, self.arguments, self.inputs, self.multiplies = kind, arguments, inputs, multiplies
        self.name = kind.__name__ + name

    def make(self, dtype=None):
        return self.kind(**self.arguments(dtype))

    def model(self, made):
        """A Keras model that calls it: itself, or for a layer a functional model."""
        if isinstance(made, keras.Model):
            return made
        symbols = [keras.Input(array.shape[1:], array.shape[0], array.dtype.name) for array in self.inputs]
        return keras.Model(symbols, made(*symbols))

    def outputs(self, model):
        inputs = dict(self.inputs) if isinstance(self.inputs, dict) else [*self.inputs]
        return [ops.convert_to_numpy(values) for values in keras.tree.flatten(model(inputs, training=False))]


def _layer(kind, inputs, *, multiplies=True, name="", **arguments):
    return Case(kind, lambda dtype: {**arguments, "dtype": dtype}, inputs, multiplies=multiplies, name=name)


def _head(kind, inputs, *, pooled=True, name="", **arguments):
    def make(dtype):
        return {"encoder": BertEncoder(CONFIG, pooled=pooled, seed=3, dtype=dtype), **arguments}

    return Case(kind, make, inputs, name=name)


CASES = [
    _layer(
        Projection,
        [_HIDDEN],
        units=5,
        kernel_initializer=keras.initializers.TruncatedNormal(0.0, 0.2, seed=3),
        activation="gelu",
    ),
    _layer(SelfAttention, [_HIDDEN, _BIAS], config=CONFIG, seed_generator=3),
    _layer(EncoderBlock, [_HIDDEN, _BIAS], config=CONFIG, seed_generator=3),
    _layer(EncoderBlock, [_HIDDEN, _BIAS], config=CONFIG, seed_generator=3, remat=True, name=" with remat"),
    _layer(Bottleneck, [_HIDDEN], config=CONFIG.replace(bottleneck_size=4), seed_generator=3),
    _layer(Pooler, [_HIDDEN], config=CONFIG, seed_generator=3),
    _layer(MaskedLanguageModelHead, [_HIDDEN, _POSITIONS, _TABLE], config=CONFIG, seed_generator=3),
    _layer(ClassificationHead, [_HIDDEN], config=CONFIG, classes=4, seed_generator=3, multiplies=False),
    _layer(Embeddings, [_IDS, _TYPES], config=CONFIG, seed_generator=3, multiplies=False),
    _layer(Dropout, [_HIDDEN], rate=0.3, seed_generator=3, multiplies=False),
    _layer(LayerNorm, [_HIDDEN], epsilon=1e-12, multiplies=False),
    _layer(AttentionBias, [_MASK], multiplies=False),
    _layer(AttentionBias, [_MASK], packed=True, multiplies=False, name=" of packed rows"),
    _layer(TokenRow, [_MASK, _IDS, _TYPES], multiplies=False),
    _layer(PaddedRows, [_HIDDEN.reshape(1, 18, 16)[:, : len(_PLACES)], _PLACES, _TOKENS], multiplies=False),
    _layer(ConditionalRandomField, None, tags=3, multiplies=False),
    _layer(BertEncoder, _FEATURES, config=CONFIG, seed=3),
    _layer(BertEncoder, _FEATURES, config=CONFIG, seed=3, pooled=False, remat=True, name=" with remat"),
    _layer(BertEncoder, _FEATURES, config=CONFIG, seed=3, skip_padding=True, name=" that skips padding"),
    _layer(BertEncoder, _PACKED, config=CONFIG, seed=3, packed=True, name=" of packed rows"),
    _head(ClassificationModel, _FEATURES, classes=3),
    _head(TokenClassificationModel, _FEATURES, classes=3, pooled=False),
    _head(TokenClassificationModel, _FEATURES, classes=3, pooled=False, crf=True, name=" with CRF"),
    _head(QuestionAnsweringModel, _FEATURES, pooled=False),
    _head(MultipleChoiceModel, _CHOICES),
    _head(RegressionModel, _FEATURES, mean=3.0, deviation=2.0),
    _head(RankingModel, _FEATURES),
    _head(EmbeddingModel, _FEATURES, pooled=False, pooling="cls"),
    _head(RelationModel, _RELATED, pooled=False, classes=3),
    _head(SemanticRolesModel, _FEATURES, pooled=False, classes=5, senses=2),
    _head(MaskedLanguageModel, _PREDICTED, pooled=False),
    _head(PrefixLanguageModel, _PREDICTED, pooled=False, target_masks=0.1),
    _head(PretrainingModel, _PREDICTED),
]


# === The checks ===


def check_config(case):
    """The configuration is JSON, and what is made of it has the same one and the same fresh weights."""
    made = case.make()
    config = json.loads(json.dumps(made.get_config()))
    again = case.kind.from_config(config)
    assert type(again) is case.kind
    assert again.get_config() == made.get_config()
    assert keras.saving.get_registered_name(case.kind) == f"kbert>{case.kind.__name__}"
    if case.inputs is not None:
        for a, b in zip(case.outputs(case.model(made)), case.outputs(case.model(again)), strict=True):
            np.testing.assert_array_equal(a, b)


def check_clone(case):
    """A clone has weights of its own, of the same names; generators are no weights."""
    if case.inputs is None:
        return
    model = _trained(case)
    clone = keras.models.clone_model(model)
    assert [_path(v) for v in clone.weights] == [_path(v) for v in model.weights]
    assert not {id(v) for v in clone.weights} & {id(v) for v in model.weights}
    clone.set_weights(model.get_weights())
    _assert_equal(case, model, clone)


def check_saving(case):
    """What is read from a .keras file answers the same, and has the same variables."""
    if case.inputs is None:
        return
    model = _trained(case)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        again = keras.saving.load_model(Path(folder) / "model.keras")
    assert type(again) is type(model)
    assert [_path(v) for v in again.variables] == [_path(v) for v in model.variables]
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    _assert_equal(case, model, again)


def check_policies(case):
    """mixed_bfloat16 by `dtype`, and by the global policy, is of products alone."""
    plain, by_dtype = case.make(), case.make("mixed_bfloat16")
    # Many CPUs do not compute in float16.
    assert case.make("mixed_float16").dtype_policy.name == ("mixed_float16" if case.multiplies else "float32")
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        by_global = case.make()
    finally:
        keras.config.set_dtype_policy("float32")
    policy = "mixed_bfloat16" if case.multiplies else "float32"
    assert plain.dtype_policy.name == "float32"
    assert by_dtype.dtype_policy.name == by_global.dtype_policy.name == policy
    if case.inputs is None:
        return
    models = [case.model(made) for made in (plain, by_dtype, by_global)]
    for model in models:
        assert {str(v.dtype) for v in model.trainable_variables} <= {"float32"}
        symbols = [str(symbol.dtype) for symbol in keras.tree.flatten(getattr(model, "output", []))]
        assert set(symbols) <= {"float32", "int32"}
    exact, rounded, rounded_too = (case.outputs(model) for model in models)
    for a, b, c in zip(exact, rounded, rounded_too, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(b, c)
        np.testing.assert_allclose(a, b, atol=0.05 * max(1.0, np.abs(a).max()))
    equal = all(np.array_equal(a, b) for a, b in zip(exact, rounded, strict=True))
    if any(values.any() for values in exact):  # a new bottleneck adapter returns zeros in any precision
        assert equal != case.multiplies


def check_refusals(case):
    """Another policy is refused when it is given, when it is global, and afterwards."""
    for policy in REFUSED:
        _assert_refused(case.make, policy)
    for policy in ("bfloat16", "float16", "float64"):
        try:
            keras.config.set_dtype_policy(policy)
            _assert_refused(case.make)
        finally:
            keras.config.set_dtype_policy("float32")
    made = case.make()
    for policy in ("mixed_bfloat16", "int8"):
        _assert_refused(setattr, made, "dtype_policy", policy)


def _assert_refused(function, *arguments):
    message = None
    try:
        function(*arguments)
    except KbertError as problem:
        message = str(problem)
    assert message is not None, f"{arguments} should be refused"
    assert "Received: " in message
    assert "\n" not in message


def _trained(case):
    """A model whose every weight is random, and whose generators have been drawn from."""
    model = case.model(case.make())
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.3, variable.shape))
    inputs = dict(case.inputs) if isinstance(case.inputs, dict) else [*case.inputs]
    model(inputs, training=True)
    return model


def _assert_equal(case, model, other):
    for a, b in zip(case.outputs(model), case.outputs(other), strict=True):
        np.testing.assert_array_equal(a, b)


def _path(variable):
    """A variable's path, without the numbers that Keras gives layers that nobody named."""
    return "/".join(part.rstrip("0123456789").rstrip("_") for part in variable.path.split("/"))


def check_optimizer(kind):
    """It learns, is saved with its model, and goes on from there."""
    model = ClassificationModel(BertEncoder(CONFIG, seed=3), 2)
    schedule = WarmupSchedule(1.0 if kind is SGD else 0.01, 60, 2)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=kind(schedule, layer_decay=0.9), loss={"logits": loss})
    batch, labels = _FEATURES, {"logits": np.array([0, 1, 1])}
    losses = model.fit(batch, labels, epochs=15, batch_size=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        again = keras.saving.load_model(Path(folder) / "model.keras")
    assert type(again.optimizer) is kind
    assert again.optimizer.get_config() == model.optimizer.get_config()
    assert int(again.optimizer.iterations) == 15
    for a, b in zip(again.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(a), ops.convert_to_numpy(b))


OPTIMIZERS = [AdamW, Lamb, Muon, SGD]
CHECKS = [check_config, check_clone, check_saving, check_policies, check_refusals]


def main():
    for case in CASES:
        for check in CHECKS:
            check(case)
        print("passed", case.name, flush=True)
    for kind in OPTIMIZERS:
        check_optimizer(kind)
        print("passed", kind.__name__, flush=True)
    print("backend", keras.backend.backend(), sorted({"tensorflow"} & set(sys.modules)))


if __name__ == "__main__":
    main()
