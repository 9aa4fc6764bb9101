import pytest

from kbert.export.phone.metadata.schema import (
    AssociatedFile,
    BertTokenizer,
    FileType,
    GraphMetadata,
    ModelMetadata,
    ScoreCalibration,
    ScoreTransformation,
    TensorMetadata,
)


@pytest.fixture(scope="module")
def written():
    labels = AssociatedFile("labels.txt", FileType.AXIS_LABELS, "The labels.")
    output = TensorMetadata(
        "probability", "Numbers.", [ScoreCalibration(ScoreTransformation.INVERSE_LOGISTIC)], [labels]
    )
    units = [BertTokenizer(AssociatedFile("vocab.txt", FileType.VOCABULARY))]
    graph = GraphMetadata([TensorMetadata("ids"), TensorMetadata("mask")], [output], units)
    metadata = ModelMetadata(
        name="films", description="Größe", version="", author="A. B.", license="mit", graphs=[graph]
    )
    return metadata.to_bytes()


def test_the_identifier_is_that_of_the_schema(written):
    assert written[4:8] == b"M001"


def test_texts_of_the_model_have_their_fields(written, reader):
    model = reader.root(written)
    texts = {field: model.text(field) for field in (0, 1, 2, 4, 5, 7)}
    assert texts == {0: "films", 1: "Größe", 2: None, 4: "A. B.", 5: "mit", 7: "1.1.0"}


def test_tensors_keep_their_order(written, reader):
    (graph,) = reader.root(written).children(3)
    assert [tensor.text(0) for tensor in graph.children(2)] == ["ids", "mask"]
    assert [tensor.text(0) for tensor in graph.children(3)] == ["probability"]


def test_the_tokenizer_names_its_vocabulary(written, reader):
    (graph,) = reader.root(written).children(3)
    (unit,) = graph.children(5)
    assert unit.number(0) == 4  # BertTokenizerOptions in the union
    (file,) = unit.child(1).children(0)
    assert (file.text(0), file.text(1), file.number(2)) == ("vocab.txt", None, 5)


def test_an_output_has_labels_and_calibration(written, reader):
    (graph,) = reader.root(written).children(3)
    (output,) = graph.children(3)
    (file,) = output.children(6)
    assert (file.text(0), file.text(1), file.number(2)) == ("labels.txt", "The labels.", 2)
    (unit,) = output.children(4)
    assert (unit.number(0), unit.child(1).number(0)) == (2, 2)  # ScoreCalibrationOptions, INVERSE_LOGISTIC
