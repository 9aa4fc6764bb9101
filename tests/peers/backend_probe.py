"""Writes the outputs and gradients of a pretraining model on the backend KERAS_BACKEND: python FILE MODEL OUT."""

import sys

import keras
import numpy as np
from keras import ops

import kbert
from kbert.models.tensor_names import pretraining_bindings, read_tensors


def batch():
    rng = np.random.default_rng(7)
    ids = rng.integers(5, 23, (3, 12)).astype(np.int32)
    mask = np.ones_like(ids)
    mask[1, 7:] = ids[1, 7:] = 0
    types = np.zeros_like(ids)
    types[:, 5:] = mask[:, 5:]
    return {
        "input_word_ids": ids,
        "input_mask": mask,
        "input_type_ids": types,
        "masked_lm_positions": np.array([[1, 4, 9], [2, 5, 0], [3, 6, 11]], np.int32),
    }


def loss_of(outputs):
    labels = np.array([[5, 6, 7], [8, 9, 10], [11, 12, 13]], np.int32)
    mlm = keras.losses.sparse_categorical_crossentropy(labels, outputs["mlm_logits"], from_logits=True)
    pairs = np.array([0, 1, 0], np.int32)
    nsp = keras.losses.sparse_categorical_crossentropy(pairs, outputs["nsp_logits"], from_logits=True)
    return ops.mean(mlm) + ops.mean(nsp)


def jax_gradients(model):
    import jax

    fixed = [variable.value for variable in model.non_trainable_variables]

    def loss(trained, training):
        outputs, _ = model.stateless_call(trained, fixed, batch(), training=training)
        return loss_of(outputs)

    trained = [variable.value for variable in model.trainable_variables]
    with_dropout, _ = jax.jit(jax.value_and_grad(lambda values: loss(values, True)))(trained)
    return with_dropout, *jax.jit(jax.value_and_grad(lambda values: loss(values, False)))(trained)


def tensorflow_gradients(model):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = loss_of(model(batch(), training=False))
    gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    return loss_of(model(batch(), training=True)), loss, [tf.convert_to_tensor(gradient) for gradient in gradients]


def main():
    folder, target = sys.argv[1:]
    model = kbert.load_model(folder)
    backend = keras.backend.backend()
    outputs = {name: ops.convert_to_numpy(values) for name, values in model(batch(), training=False).items()}
    gradients_of = {"jax": jax_gradients, "tensorflow": tensorflow_gradients}[backend]
    with_dropout, loss, gradients = gradients_of(model)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        variable.assign(gradient)
    named = {f"gradient of {name}": value for name, value in read_tensors(pretraining_bindings(model)).items()}
    imported = np.array([name for name in sys.modules if name.split(".")[0] == "tensorflow"][:1])
    scalars = {"loss": np.asarray(loss), "loss with dropout": np.asarray(with_dropout)}
    np.savez(target, **outputs, **scalars, **named, tensorflow=imported)


if __name__ == "__main__":
    main()
