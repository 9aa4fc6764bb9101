import sys

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from kbert.errors import DataError, UsageError
from kbert.export.phone.export import export_litert
from kbert.export.phone.quantization import quantized

pytest.importorskip("ai_edge_quantizer")

TEXTS = ["the cat sat on the mat .", "unaffable dogs !", "a slow dog ran fast", "cats"]


@pytest.fixture(scope="module")
def wide(tmp_path_factory, make_classifier, small_config):
    """A classifier of a width at which weights are most of the file."""
    config = small_config.replace(hidden_size=256, intermediate_size=1024)
    return make_classifier(tmp_path_factory.mktemp("wide") / "run", config=config)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    path = tmp_path_factory.mktemp("texts") / "texts.txt"
    path.write_text("\n".join(TEXTS), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory, wide, texts):
    folder = tmp_path_factory.mktemp("files")
    options = {"int8": {"calibration": texts}}
    return {
        name: export_litert(
            wide, output=folder / name, sequence_lengths=[16], quantize=name, **options.get(name, {})
        ).read_bytes()
        for name in ("none", "int8", "int4")
    }


def operations(content):
    """The names of operations, with the dtypes of their inputs."""
    found = {}
    runtime = Interpreter(
        model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    tensors = {each["index"]: each for each in runtime.get_tensor_details()}
    for operation in runtime._get_ops_details():
        kinds = {np.dtype(tensors[index]["dtype"]).name for index in operation["inputs"] if index >= 0}
        found.setdefault(operation["op_name"], set()).update(kinds)
    return found


@pytest.mark.long
def test_quantized_files_are_smaller(files):
    sizes = {name: len(content) / len(files["none"]) for name, content in files.items()}
    assert sizes["int8"] < 0.30
    assert sizes["int4"] < 0.18


@pytest.mark.long
def test_int8_has_fixed_ranges_for_activations(files):
    found = operations(files["int8"])
    assert found["QUANTIZE"] == {"float32"}
    assert "int8" in found["FULLY_CONNECTED"]
    assert found["EMBEDDING_LOOKUP"] == {"int32", "int8"}


@pytest.mark.long
def test_int4_has_floating_activations(files):
    found = operations(files["int4"])
    assert "QUANTIZE" not in found
    assert "float32" in found["FULLY_CONNECTED"]


@pytest.mark.long
def test_bad_rows_of_the_validation_file_are_not_measured(files, tmp_path, wide):
    path = tmp_path / "validation.csv"
    rows = "".join(f"{text},good\n" for text in TEXTS)
    path.write_text(f"text,label\ntoo,many,cells\n{rows}", encoding="utf-8")
    options = {"sequence_lengths": [16], "quantize": "int8", "validation": path}
    exported = export_litert(wide, output=tmp_path / "int8", skip_bad=1, **options).read_bytes()
    assert exported == files["int8"]
    with pytest.raises(DataError, match=r"validation\.csv:2: "):
        export_litert(wide, output=tmp_path / "strict", **options)


@pytest.mark.long
def test_calibration_gives_the_same_file_each_time(files, tmp_path, wide, texts):
    again = export_litert(
        wide, output=tmp_path / "int8", sequence_lengths=[16], quantize="int8", calibration=texts
    ).read_bytes()
    assert again == files["int8"]


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_quantizer", None)
    with pytest.raises(UsageError, match=r"^int8 and int4 need ai-edge-quantizer: pip install 'kbert\[quantize\]'$"):
        quantized(b"", "int4")
