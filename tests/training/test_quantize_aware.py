import json

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from kbert.errors import UsageError
from kbert.export.phone.export import export_litert
from kbert.model_folder.bundle import Bundle, quantize_aware
from kbert.models.encoder import BertEncoder
from kbert.models.pretraining import PretrainingModel
from kbert.models.tensor_names import pretraining_bindings, read_tensors
from kbert.options import OptionError
from kbert.prediction.loading import load
from kbert.text.tokenizer import Tokenizer
from kbert.training.distill import distill
from kbert.training.finetune import finetune
from kbert.training.options import FinetuneOptions

KERNELS = ("query.weight", "key.weight", "value.weight", "dense.weight", "classifier.weight")
TEXTS = ["the fast cat sat .", "a slow dog ran .", "unaffable cats"]


@pytest.fixture(scope="module")
def base(tmp_path_factory, vocabulary, small_config):
    """A pretraining model of one block, whose width suits the blocks of int4."""
    config = small_config.replace(num_hidden_layers=1, initializer_range=0.1)
    tensors = read_tensors(pretraining_bindings(PretrainingModel(BertEncoder(config))))
    folder = tmp_path_factory.mktemp("base")
    Bundle(config, Tokenizer(vocabulary), tensors, "BertForPreTraining").save(folder, "# A card\n")
    return folder


@pytest.fixture(scope="module")
def module_tmp(tmp_path_factory):
    return tmp_path_factory.mktemp("quantize_aware")


@pytest.fixture(params=["int8", "int4"])
def trained(request, base, module_tmp, cats_and_dogs, quick):
    """The dtype, and a run that was trained for it, once for this module."""
    folder = module_tmp / request.param
    if not folder.exists():
        settings = quick | {"model": base, "epochs": 3, "quantize_aware": request.param}
        finetune("classification", **cats_and_dogs, **settings, output=folder)
    return request.param, folder


@pytest.mark.long
def test_a_run_holds_rounded_weights(trained):
    dtype, folder = trained
    steps = {"int8": 127, "int4": 7}[dtype]
    for name, tensor in Bundle.load(folder).tensors.items():
        assert tensor.dtype == np.float32
        if name.endswith(KERNELS):
            whole = tensor / (np.abs(tensor).max(axis=1, keepdims=True) / steps)
            np.testing.assert_allclose(whole, np.round(whole), atol=1e-3)
    assert quantize_aware(folder) == dtype == json.loads((folder / "kbert.json").read_text())["quantize_aware"]


@pytest.mark.long
def test_the_metrics_are_those_of_the_run(trained, cats_and_dogs):
    _, folder = trained
    expected = json.loads((folder / "kbert.json").read_text())["metrics"]
    received = load(folder).evaluate(cats_and_dogs["validation"])
    assert received["accuracy"] == expected["accuracy"]
    assert received["calibration_error"] == pytest.approx(expected["calibration_error"], abs=1e-5)


def dequantized(content):
    """All constant tensors of a LiteRT file with quantized weights, in float32."""
    runtime = Interpreter(
        model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    found = []
    for detail in runtime.get_tensor_details():
        parameters = detail["quantization_parameters"]
        if len(detail["shape"]) == 2 and len(parameters["scales"]) and not np.any(parameters["zero_points"]):
            try:
                values = runtime.get_tensor(detail["index"]).astype(np.float32)
            except ValueError:  # not a constant
                continue
            scales = parameters["scales"]
            axis = parameters["quantized_dimension"]
            found.append(values * (scales if len(scales) == 1 else np.expand_dims(scales, 1 - axis)))
    return found


@pytest.mark.long
def test_the_export_has_the_weights_of_the_run(trained, cats_and_dogs, tmp_path, logged):
    pytest.importorskip("ai_edge_quantizer")
    dtype, folder = trained
    path = export_litert(folder, output=tmp_path / "model.tflite", quantize=dtype, validation=cats_and_dogs["train"])
    trained = f"the model was trained by `kbert finetune --quantize-aware {dtype}`"
    assert f"{trained}: the weights of the file are those of the model" in logged()
    stored = dequantized(path.read_bytes())
    layer = "bert.encoder.layer.0"
    tensors = Bundle.load(folder).tensors
    for name in ("attention.self.key", "attention.output.dense", "intermediate.dense", "output.dense"):
        kernel = tensors[f"{layer}.{name}.weight"]
        differences = [np.abs(each - kernel).max() for each in stored if each.shape == kernel.shape]
        assert min(differences) < 1e-6, name


@pytest.mark.long
def test_another_dtype_is_told(trained, tmp_path, logged):
    dtype, folder = trained
    export_litert(folder, output=tmp_path / "model.tflite", quantize="float16")
    suits = {"int8": "int8 or dynamic", "int4": "int4"}[dtype]
    assert (
        f"the model was trained by `kbert finetune --quantize-aware {dtype}`, so it suits --quantize {suits}. "
        "Received: --quantize float16"
    ) in logged()


@pytest.mark.slow
def test_a_student_is_trained_for_a_dtype(trained, base, cats_and_dogs, quick, tmp_path):
    _, teacher = trained
    settings = {name: quick[name] for name in ("batch_size", "learning_rate", "epochs", "show_progress")}
    distill(teacher, model=base, **cats_and_dogs, **settings, quantize_aware="int8", output=tmp_path / "student")
    kernel = Bundle.load(tmp_path / "student").tensors["bert.encoder.layer.0.output.dense.weight"]
    whole = kernel / (np.abs(kernel).max(axis=1, keepdims=True) / 127)
    np.testing.assert_allclose(whole, np.round(whole), atol=1e-3)


def test_what_is_refused(cats_and_dogs, quick, tmp_path):
    given = {"model": "m", "train": "t", "output": "o"}
    with pytest.raises(OptionError, match=r"^quantize_aware trains all weights; leave adapter out. Received: both$"):
        FinetuneOptions(**given, adapter="lora", quantize_aware="int8")
    with pytest.raises(
        OptionError, match=r"^quantize_aware must be one of int8, int4. Received: quantize_aware='int2'"
    ):
        FinetuneOptions(**given, quantize_aware="int2")
    with pytest.raises(
        UsageError, match=r"needs a model whose hidden size is a multiple of 32. Received: hidden size 16"
    ):
        finetune("classification", **cats_and_dogs, **quick, quantize_aware="int4", output=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("task", "rows", "reason"),
    [
        ("generation", [{"text": "the cat", "target": "a cat"}], "they write one token after the other, in a loop"),
        (
            "relations",
            [{"text": "the cat sat", "head": "cat", "tail": "sat", "relation": relation} for relation in "ab"],
            "apps would have to find the tokens of the entities in the text by themselves",
        ),
    ],
)
def test_tasks_without_models_for_phones_are_refused(quick, tmp_path, task, rows, reason):
    with pytest.raises(OptionError) as error:
        finetune(task, train=rows, validation=rows, **quick, quantize_aware="int8", output=tmp_path / "run")
    assert str(error.value) == (
        f"quantize_aware prepares models for phones, and models for {task} cannot be exported for phones, since "
        f"{reason}; leave quantize_aware out. Received: quantize_aware='int8'"
    )
    assert not (tmp_path / "run").exists()
