import pytest

from kbert.export.phone.metadata.programs import ExportedModel, describe_openings, openings, opens_as_is

CLASSIFIER = "MediaPipe's TextClassifier"
ANSWERER = "the Task Library's BertQuestionAnswerer"


def model(task="classification", **changes):
    return ExportedModel(**{"task": task, "sequence_length": 128} | changes)


@pytest.mark.parametrize(
    ("task", "programs"),
    [
        ("classification", [CLASSIFIER, "the Task Library's BertNLClassifier"]),
        ("multilabel", [CLASSIFIER, "the Task Library's BertNLClassifier"]),
        ("embedding", ["MediaPipe's TextEmbedder"]),
        ("question-answering", [ANSWERER]),
        ("tagging", []),
    ],
)
def test_each_task_has_its_programs(task, programs):
    found = openings(model(task, sequence_length=384))
    assert [each.program for each in found] == programs
    assert all(each.obstacle is None for each in found)
    assert opens_as_is(model(task, sequence_length=384)) is bool(programs)


@pytest.mark.parametrize(
    ("changes", "obstacle"),
    [
        ({"signatures": 3}, "it has 3 signatures; export with one --sequence-length"),
        ({"takes_tokens": False}, "it takes code points; export with --input tokens"),
        ({"paired": True}, "it takes pairs of texts, and the program gives it single texts"),
        ({"output_types": ["int8"]}, "its outputs are int8, and the program reads float32 or uint8"),
    ],
)
def test_obstacles_of_classifiers(changes, obstacle):
    assert openings(model(**changes))[0].obstacle == obstacle
    assert not opens_as_is(model(**changes))


def test_questions_need_384_tokens():
    assert [str(each) for each in openings(model("question-answering", paired=True))] == [
        "the Task Library's BertQuestionAnswerer does not open the model: it takes 128 tokens, and the program gives "
        "it 384; export with --sequence-length 384"
    ]
    assert opens_as_is(model("question-answering", paired=True, sequence_length=384))


def test_answers_are_always_given():
    (found,) = openings(model("question-answering", sequence_length=384, no_answers=True))
    assert str(found) == (
        "the Task Library's BertQuestionAnswerer opens the model as it is, but it always gives an answer, and the "
        "model can decide that there is none"
    )


def test_lines_for_people():
    assert describe_openings(model("embedding")) == ["MediaPipe's TextEmbedder opens the model as it is"]
    assert describe_openings(model("tagging")) == [
        "neither MediaPipe nor the Task Library has a program for the task tagging"
    ]
