import pytest
import tensorflow as tf

from kbert.errors import ServingError
from kbert.serving.served_models.litert_check import check_litert


class Model(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([1], tf.float32, name="x")])
    def reads(self, x):
        return {"y": x, "length": tf.strings.length(tf.io.read_file("/etc/hostname"))}

    @tf.function(input_signature=[tf.TensorSpec([1], tf.float32, name="x")])
    def computes(self, x):
        return {"y": x + 1.0}


def converted(path, function):
    model = Model()
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [getattr(model, function).get_concrete_function()], model
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    path.write_bytes(converter.convert())
    return path


def test_a_model_that_computes_is_accepted(tmp_path):
    check_litert(converted(tmp_path / "model.tflite", "computes"))


def test_operations_of_tensorflow_are_refused(tmp_path):
    path = converted(tmp_path / "model.tflite", "reads")
    with pytest.raises(
        ServingError, match=r"^expected a LiteRT model without .* with Flex(ReadFile|StringLength); the op"
    ):
        check_litert(path)


@pytest.mark.parametrize("content", [b"", b"x", b"\xff" * 100])
def test_a_damaged_model_is_told(tmp_path, content):
    (tmp_path / "model.tflite").write_bytes(content)
    with pytest.raises(ServingError, match=r"^expected a LiteRT model\. Received: .*model\.tflite, which is damaged"):
        check_litert(tmp_path / "model.tflite")
