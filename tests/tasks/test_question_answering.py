import dataclasses
import gzip
import json

import numpy as np
import pytest
import tensorflow as tf

from kbert.errors import DataError, UsageError
from kbert.models.encoder import BertEncoder
from kbert.prediction.predictor import Predictor
from kbert.sources.bad_rows import BadRows
from kbert.tasks.question_answering import QuestionAnsweringTask
from kbert.tasks.readers.question_answering import Answer, Question
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer

CONTEXT = "The cat sat on the mat. A slow dog ran! The Ünaffable dogs sat on a fast cat."
QUESTIONS = [
    Question("a dog ?", CONTEXT, (Answer("slow dog", 26),), "1"),
    Question("cat sat " * 9, CONTEXT, (Answer("fast cat.", 68),), "2"),
    Question("mat", CONTEXT, (), "3"),
    Question("the", CONTEXT, (Answer("Ünaffable dogs", 44),), "4"),
]


def squad(tmp_path, context, *questions):
    path = tmp_path / "squad.json"
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": context, "qas": list(questions)}]}]}))
    return path


@pytest.fixture(scope="module")
def encode(vocabulary):
    return GraphEncoder(Tokenizer(vocabulary).to_graph(), 20)


# === Reading ===


def test_squad_of_both_versions(tmp_path):
    path = squad(
        tmp_path,
        "the cat sat",
        {"id": "a", "question": "who?", "answers": [{"text": "cat", "answer_start": 4}]},
        {"id": "b", "question": "when?", "answers": [], "is_impossible": True},
    )
    questions = QuestionAnsweringTask.read_examples(path)
    assert questions == [
        Question("who?", "the cat sat", (Answer("cat", 4),), "a"),
        Question("when?", "the cat sat", (), "b"),
    ]
    assert QuestionAnsweringTask.from_examples(questions, path).impossible
    assert not QuestionAnsweringTask.from_examples(questions[:1], path).impossible
    assert [question.answers for question in QuestionAnsweringTask.read_examples(path, targets=False)] == [None, None]


def test_a_damaged_file_names_the_line(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{\n"data": [\n{"paragraphs": oops}]}')
    with pytest.raises(DataError, match=r"a\.json:3: expected SQuAD's JSON, or JSON lines \(Expecting value\)$"):
        QuestionAnsweringTask.read_examples(path)


def test_a_damaged_compressed_file(tmp_path):
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"data": []}).encode())[:-9])
    with pytest.raises(DataError, match=r"a\.json\.gz:1: the compressed file is damaged"):
        QuestionAnsweringTask.read_examples(path)


@pytest.mark.parametrize("encoding", ["utf-8", "UTF-8", "utf8"])
def test_a_byte_order_mark(tmp_path, encoding):
    path = squad(tmp_path, "the cat", {"id": "a", "question": "who?", "answers": [{"text": "cat", "answer_start": 4}]})
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert QuestionAnsweringTask.read_examples(path, options={"encoding": encoding})[0].context == "the cat"


@pytest.mark.parametrize("answers", [[{"text": "cat", "answer_start": 4}], {"text": ["cat"], "answer_start": [4]}])
def test_json_lines(tmp_path, answers):
    path = tmp_path / "a.jsonl"
    path.write_text("\n" + json.dumps({"q": "who?", "context": "the cat", "answers": answers}))
    assert QuestionAnsweringTask.read_examples(path, {"question": "q"}) == [
        Question("who?", "the cat", (Answer("cat", 4),), "", 2)
    ]


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"question": "q", "answers": [{"start": 4}]}, "expected an answer {\"text\", \"answer_start\"}"),
        ({"question": "q", "answers": [{"text": "cat", "answer_start": "x"}]}, "expected an answer {\"text\", "),
        ({"question": "q", "answers": [], "is_impossible": "maybe"}, "expected true or false as is_impossible"),
        ({"question": "q", "answers": []}, "expected answers, or is_impossible"),
        ({"question": " ", "answers": []}, "expected "),
        ([], "expected an object with question and answers"),
    ],
)  # fmt: skip
def test_questions_that_cannot_be(tmp_path, question, message):
    good = {"question": "q", "answers": [{"text": "cat", "answer_start": 9}]}
    path = squad(tmp_path, "the slow cat", good, question)
    with pytest.raises(DataError) as caught:
        QuestionAnsweringTask.read_examples(path)
    assert str(caught.value).startswith(f"{path}: data[0].paragraphs[0].qas[1]: {message}")
    bad = BadRows(1)
    assert len(QuestionAnsweringTask.read_examples(path, bad=bad)) == bad.count == 1


def test_an_answer_a_character_beside_its_offset_is_taken_where_it_stands(tmp_path):
    path = squad(tmp_path, "the slow cat", {"question": "q", "answers": [{"text": "cat", "answer_start": 8}]})
    assert QuestionAnsweringTask.read_examples(path)[0].answers == (Answer("cat", 9),)


@pytest.mark.parametrize("start", [6, 90, None, -3])
def test_answers_with_a_wrong_place_are_found_and_counted(tmp_path, caplog, start):
    path = squad(tmp_path, "a cat, the cat", {"question": "q", "answers": [{"text": "cat", "answer_start": start}]})
    assert QuestionAnsweringTask.read_examples(path)[0].answers == (Answer("cat", 11 if start == 90 else 2),)
    (record,) = caplog.records
    expected = "1 answers are not at their answer_start; the nearest place in the context was taken"
    assert record.getMessage() == f"{path}: {expected}"


def test_answers_that_are_not_in_the_context_can_be_measured_and_not_learnt(tmp_path):
    answers = [{"text": "dog", "answer_start": 4}, {"text": "cat", "answer_start": 4}]
    questions = [{"question": "q", "answers": answers}, {"question": "p", "answers": answers[:1]}]
    found = QuestionAnsweringTask.read_examples(squad(tmp_path, "the cat", *questions))
    # The first one is learnt.
    assert [question.answers for question in found] == [(Answer("cat", 4), Answer("dog", -1)), (Answer("dog", -1),)]
    task = QuestionAnsweringTask()
    assert task.keep_valid(found, "a.json") == found
    task.check_learnable(found[0])
    with pytest.raises(ValueError, match=r"^expected an answer that stands in the context\. Received: 'dog'$"):
        task.check_learnable(found[1])


@pytest.mark.parametrize(
    ("said", "answers"),
    [("false", 1), ("0", 1), (0, 1), (None, 1), ("", 1), ("true", 0), ("True", 0), ("1", 0), (1, 0), (1.0, 0)],
)
def test_is_impossible_in_other_spellings(tmp_path, said, answers):
    question = {"question": "q", "is_impossible": said, "answers": [{"text": "cat", "answer_start": 4}]}
    assert len(QuestionAnsweringTask.read_examples(squad(tmp_path, "the cat", question))[0].answers) == answers
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"context": "the cat", **question}))
    assert len(QuestionAnsweringTask.read_examples(path)[0].answers) == answers


def test_lists_of_contexts_and_articles(tmp_path):
    paragraph = {"context": "the cat", "qas": [{"qid": 7, "question": "q", "answers": ["cat"]}]}
    expected = [Question("q", "the cat", (Answer("cat", 4),), "7")]
    path = tmp_path / "a.json"
    for content in ([paragraph], {"data": [paragraph]}, [{"paragraphs": [paragraph]}], {"paragraphs": [paragraph]}):
        path.write_text(json.dumps(content))
        assert QuestionAnsweringTask.read_examples(path) == expected
    path = tmp_path / "a.jsonl"
    path.write_text('{"header": {}}\n' + json.dumps(paragraph))
    assert QuestionAnsweringTask.read_examples(path) == [dataclasses.replace(expected[0], line=2)]
    path.write_text('{"context": "the cat", "q": "?"}')
    with pytest.raises(DataError, match=r"expected a text as question\. Received: None; the keys are 'context', 'q'$"):
        QuestionAnsweringTask.read_examples(path)


# === Windows ===


@pytest.mark.long
def test_answers_come_back_from_their_positions_through_windows(encode):
    task = QuestionAnsweringTask.from_examples(QUESTIONS, "a")
    rows = task.training_rows(QUESTIONS, encode)
    assert len(rows) > 2 * len(QUESTIONS)
    assert rows.ids.lengths.max() <= 20
    encoded = task.encode(encode, {name: tf.constant(texts) for name, texts in task.texts_of(QUESTIONS).items()})
    width = encoded["input_mask"].shape[1]
    outputs = {
        f"{side}_logits": tf.one_hot(rows.targets[f"{side}_positions"], width) * 9.0 for side in ("start", "end")
    }
    answers = {name: value.numpy() for name, value in task.served_answers(outputs, encoded).items()}
    found = [task.readable_answer({name: values[row] for name, values in answers.items()}) for row in range(4)]
    # [CLS] wins in windows without the answer: null is at 0 where one window has it, at 18 where none does.
    assert [(answer["answer"], answer["start"]) for answer in found] == [
        ("slow dog", 26),
        ("fast cat.", 68),
        ("", 0),
        ("Ünaffable dogs", 44),
    ]
    for answer in found:
        assert all(CONTEXT[best["start"] : best["end"]] == best["answer"] for best in answer["answers"])
        places = [(best["start"], best["end"]) for best in answer["answers"]]
        assert len(set(places)) == len(places) == 5
        scores = [best["score"] for best in answer["answers"]]
        assert scores == sorted(scores, reverse=True)
    metrics = task.evaluate(QUESTIONS, answers)
    assert metrics == {
        "examples": 4,
        **dict.fromkeys(["exact_match", "f1"], 1.0),
        **dict.fromkeys(["exact_match_answerable", "f1_answerable"], 1.0),
        **dict.fromkeys(["exact_match_unanswerable", "f1_unanswerable"], 1.0),
    }


def test_an_answer_has_at_most_so_many_tokens_and_stands_in_the_context(encode):
    task = QuestionAnsweringTask(max_answer_length=2, n_best=40)
    rng = np.random.default_rng(0)
    inputs = {"question": tf.constant(["a dog", "the"]), "context": tf.constant([CONTEXT, ""])}
    encoded = task.encode(encode, inputs)
    shape = encoded["input_mask"].shape
    outputs = {name: tf.constant(rng.normal(size=shape), tf.float32) for name in ("start_logits", "end_logits")}
    answers = {name: value.numpy() for name, value in task.served_answers(outputs, encoded).items()}
    first, empty = (task.readable_answer({name: values[row] for name, values in answers.items()}) for row in range(2))
    assert len(first["answers"]) > 30
    ends = {best["end"] for best in first["answers"]}
    assert max(ends) <= len(CONTEXT)
    tokens = Tokenizer(encode.tokenizer.vocabulary).offsets(CONTEXT)
    for best in first["answers"]:
        inside = [place for place in tokens if best["start"] <= place[0] and place[1] <= best["end"]]
        assert 1 <= len(inside) <= 2
    assert (empty["answer"], empty["answers"], empty["score"]) == ("", [], 0.0)


LONG = Question("where ?", "the cat sat on the mat . " * 20, (Answer("cat sat on the mat . " * 8 + "the", 4),))


def test_the_longest_answer_follows_the_training_data(vocabulary):
    encode = GraphEncoder(Tokenizer(vocabulary).to_graph(), 128)
    assert QuestionAnsweringTask().for_training_examples(QUESTIONS, encode).max_answer_length == 30
    assert QuestionAnsweringTask().for_training_examples([*QUESTIONS, LONG], encode).max_answer_length == 49
    assert QuestionAnsweringTask(max_answer_length=7).for_training_examples([LONG], encode).max_answer_length == 7
    assert (
        QuestionAnsweringTask().with_main_metric("exact_match").for_training_examples([LONG], encode).main_metric
        == "exact_match"
    )
    # No answer is longer than the model's input, whatever the data has.
    short = GraphEncoder(Tokenizer(vocabulary).to_graph(), 40)
    assert QuestionAnsweringTask().for_training_examples([LONG], short).max_answer_length == 40


def test_private_training_takes_no_settings_from_the_training_data(vocabulary):
    encode = GraphEncoder(Tokenizer(vocabulary).to_graph(), 128)
    chinese = [Question("q", "北京", (Answer("北京", 0),)), Question("q", "北京", ())]
    plain = [Question("q", "the cat", (Answer("cat", 4),))]
    private = QuestionAnsweringTask.from_examples(chinese, "a").for_private_training(plain)
    assert (private.impossible, private.by_characters) == (False, False)
    private = QuestionAnsweringTask.from_examples(plain, "a").for_private_training(chinese)
    assert (private.impossible, private.by_characters) == (True, True)
    assert private.for_training_examples([LONG], encode).max_answer_length == 30
    given = {"max_answer_length": 7, "by_characters": "no"}
    private = QuestionAnsweringTask.from_examples(plain, "a", given).for_private_training(chinese)
    assert (private.max_answer_length, private.by_characters) == (7, False)


@pytest.mark.long
def test_answers_that_cannot_be_given_or_learnt_are_told(vocabulary):
    encode = GraphEncoder(Tokenizer(vocabulary).to_graph(), 40)
    task = QuestionAnsweringTask(max_answer_length=30)
    assert task.training_rows(QUESTIONS, encode).notes == ()
    assert task.training_rows([*QUESTIONS, LONG], encode).notes == (
        "1 of 4 answers are longer than 30 tokens and are never given as an answer; "
        "--max-answer-length allows longer ones",
        "1 of 4 answers cannot be learnt, since no window of the context holds a whole answer; a larger "
        "--sequence-length or --stride makes such windows",
    )


def test_the_threshold_is_tuned():
    task = QuestionAnsweringTask(impossible=True)
    answers = {
        "count": np.array([1, 1, 1, 1]),
        "answers": np.array([[b"slow dog"], [b"fast cat."], [b"mat"], [b"dogs"]], object),
        "logits": np.array([[2.0], [1.0], [0.0], [4.0]]),
        "null_logit": np.array([1.0, 1.0, 1.0, 4.5]),
    }
    assert task.evaluate(QUESTIONS, answers)["exact_match"] == 0.75
    tuned = task.with_tuned_thresholds(QUESTIONS, answers)
    assert tuned.null_threshold == 0.5
    assert task.with_main_metric("exact_match").with_tuned_thresholds(QUESTIONS, answers).main_metric == "exact_match"
    assert tuned.evaluate(QUESTIONS, answers)["f1"] == pytest.approx((3 + 2 / 3) / 4)
    again = QuestionAnsweringTask.from_settings(json.loads(json.dumps(tuned.settings())))
    assert again.settings() == tuned.settings()


def test_a_stride_without_room_for_questions(encode):
    with pytest.raises(
        UsageError, match=r"^stride must leave room for questions: less than sequence_length - 4 = 16\. "
    ):
        QuestionAnsweringTask(stride=16).training_rows(QUESTIONS, encode)


def test_columns_of_a_squad_file_cannot_be_kept(vocabulary, small_config, tmp_path):
    task = QuestionAnsweringTask()
    predictor = Predictor(task, task.build(BertEncoder(small_config, pooled=False)), Tokenizer(vocabulary), 32)
    path = squad(tmp_path, CONTEXT, {"question": "a dog ?", "id": "1"})
    with pytest.raises(
        UsageError, match=r"squad\.json: expected a table or JSON lines, which have columns to keep\. Rec"
    ):
        list(predictor.predict_file(path, keep_columns=["title"]))


@pytest.mark.long
def test_a_context_of_ten_thousand_tokens(vocabulary, small_config):
    task = QuestionAnsweringTask()
    model = task.build(BertEncoder(small_config, pooled=False))
    predictor = Predictor(task, model, Tokenizer(vocabulary), 32)
    long = "the cat sat on a mat . " * 1429 + "dogs"
    answers = predictor.predict(["a dog", "the"], [long, "the cat"])
    for answer, context in zip(answers, (long, "the cat"), strict=True):
        assert context[answer["start"] : answer["end"]] == answer["answer"] != ""
    (alone,) = predictor.predict(["the"], ["the cat"])
    assert alone["answer"] == answers[1]["answer"]
    assert alone["score"] == pytest.approx(answers[1]["score"], abs=1e-5)
