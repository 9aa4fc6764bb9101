import json
import math

import numpy as np
import pytest
import tensorflow as tf

from kbert.errors import BundleError, DataError, UsageError
from kbert.prediction.loading import load
from kbert.sources.bad_rows import BadRows
from kbert.tasks.ranking import RankingTask
from kbert.tasks.readers.ranking import RankingExample
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer

DIALOGUES = [{"turns": [{"speaker": s, "text": f"{s}{n}{d}"} for n, s in enumerate("USUS")]} for d in range(10)]


def write(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def lines(folder, *objects):
    return write(folder, "a.jsonl", "".join(json.dumps(value) + "\n" for value in objects))


# === Reading ===


def test_rows_of_equal_queries_belong_together(tmp_path):
    path = write(tmp_path, "a.csv", "query,candidate,label\nq1,a,1\nq2,b,0\nq1,c,0\nq2,d,3\n")
    columns = {"label": "label"}
    assert RankingTask.read_examples(path, columns) == [
        RankingExample("q1", ("a", "c"), (1.0, 0.0), 0, 2),
        RankingExample("q2", ("b", "d"), (0.0, 3.0), 0, 3),
    ]
    assert RankingTask.read_examples(path, columns, targets=False)[0].candidates == ("a", "c")


def test_wrong_candidates_are_drawn_where_there_are_none(tmp_path):
    rows = "".join(f"q{n},a{n}\n" for n in range(30))
    path = write(tmp_path, "faq.csv", "query,candidate\n" + rows)
    examples = RankingTask.read_examples(path, options={"candidates": 4})
    assert examples == RankingTask.read_examples(path, options={"candidates": 4})
    for number, example in enumerate(examples):
        assert len(set(example.candidates)) == 4
        assert example.candidates[example.gains.index(1.0)] == f"a{number}"
        assert sum(example.gains) == 1
    assert len({example.gains.index(1.0) for example in examples}) == 4


def test_examples_with_drawn_candidates_mix_rows(tmp_path):
    mixed = "wrong candidates that are drawn from other rows; give a file with the wrong candidates of each query"
    drawn = write(tmp_path, "faq.csv", "query,candidate\nq1,a\nq2,b\n")
    right = lines(tmp_path, {"query": "q", "pos": ["a"]}, {"query": "p", "pos": ["b"], "neg": ["c"]})
    for path in (drawn, right):
        assert RankingTask().mixed_rows(RankingTask.read_examples(path)) == mixed
    labelled = write(tmp_path, "a.csv", "query,candidate,label\nq1,a,1\nq1,b,0\n")
    assert RankingTask().mixed_rows(RankingTask.read_examples(labelled, {"label": "label"})) == ""
    given = lines(tmp_path, {"query": "q", "pos": ["a"], "neg": ["b"]})
    assert RankingTask().mixed_rows(RankingTask.read_examples(given)) == ""


def test_responses_of_a_dialogue_and_documents_of_a_query_belong_together(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(DIALOGUES))  # all in one line
    examples = RankingTask.read_examples(tmp_path / "a.json")
    task = RankingTask()
    assert [task.group(example) for example in examples] == [(number, "") for number in range(1, 11) for _ in range(3)]
    assert task.group(RankingExample("q", ("a",))) == task.group(RankingExample("q", ("b",), (1.0,), 0, 7))
    assert task.group(RankingExample("q", ("a",))) != task.group(RankingExample("r", ("a",)))


def test_a_responder_that_never_speaks(tmp_path):
    message = r"a\.jsonl: expected dialogues with a response of 'System'\. The speakers are S, U$"
    with pytest.raises(DataError, match=message):
        RankingTask.read_examples(lines(tmp_path, *DIALOGUES), options={"responder": "System"})


def test_lists_of_candidates(tmp_path):
    path = lines(
        tmp_path,
        {"query": ["hi", "hello"], "candidates": ["a", "b"], "label": 1},
        {"query": "q", "candidates": ["a", "b", "c"], "label": [0, 2, 1]},
    )
    assert RankingTask.read_examples(path) == [
        RankingExample("hi\nhello", ("a", "b"), (0.0, 1.0), 2, 1),
        RankingExample("q", ("a", "b", "c"), (0.0, 2.0, 1.0), 0, 2),
    ]


def test_right_and_wrong_candidates_in_lists(tmp_path):
    rows = [{"query": "q", "pos": ["a"], "neg": ["b", "c"]}, {"query": "p", "pos": ["d", "e"], "neg": ["a"]}]
    path = lines(tmp_path, *rows)
    assert RankingTask.read_examples(path) == [
        RankingExample("q", ("a", "b", "c"), (1.0, 0.0, 0.0), line=1),
        RankingExample("p", ("d", "e", "a"), (1.0, 1.0, 0.0), line=2),
    ]
    assert RankingTask.read_examples(path, targets=False)[0] == RankingExample("q", ("a", "b", "c"), (), line=1)
    # Without wrong ones they are drawn from those of other queries.
    path = lines(tmp_path, {"query": "q", "positive": "a"}, {"query": "p", "positive": "d"})
    assert [sorted(zip(e.gains, e.candidates, strict=True)) for e in RankingTask.read_examples(path)] == [
        [(0.0, "d"), (1.0, "a")],
        [(0.0, "a"), (1.0, "d")],
    ]
    with pytest.raises(DataError, match=r":2: expected \{\"query\": .* Received the keys 'pos': "):
        RankingTask.read_examples(lines(tmp_path, rows[0], {"pos": ["a"]}))


@pytest.mark.parametrize(("name", "mark"), [("a.tsv", "\t"), ("a.csv", ",")])
def test_tables_of_right_and_wrong_candidates(tmp_path, logged, name, mark):
    rows = "anchor,positive,negative_1,negative_2,score\nq,a,b,c,9\np,d,b,,9\nq,c,e,a,9\n,x,y,z,9\n"
    path = write(tmp_path, name, rows.replace(",", mark))
    bad = BadRows(1)
    assert RankingTask.read_examples(path, bad=bad) == [
        RankingExample("q", ("a", "b", "c", "e"), (1.0, 0.0, 1.0, 0.0), line=2),
        RankingExample("p", ("d", "b"), (1.0, 0.0), line=3),
    ]
    assert bad.count == 1
    (told,) = logged()
    assert told.startswith(f"{path}: 1 rows have a wrong candidate that is right for the same query")
    assert told.endswith(f"(first: {path}:4)")
    # Without wrong ones they are drawn from those of other queries.
    path = write(tmp_path, "b.csv", "query,positive\nq,a\np,d\n")
    assert [sorted(zip(e.gains, e.candidates, strict=True)) for e in RankingTask.read_examples(path)] == [
        [(0.0, "d"), (1.0, "a")],
        [(0.0, "a"), (1.0, "d")],
    ]


def test_labels_that_are_words(tmp_path):
    path = write(tmp_path, "a.csv", "query,candidate,label\nq,a,yes\nq,b,No\nq,c,TRUE\n")
    assert RankingTask.read_examples(path, {"label": "label"}) == [
        RankingExample("q", ("a", "b", "c"), (1.0, 0.0, 1.0), line=2)
    ]


def test_passages_with_titles(tmp_path):
    passages = [{"docid": "1", "title": "T", "text": "a"}, {"docid": "2", "title": "", "text": "b"}]
    row = {"query_id": "7", "query": "q", "positive_passages": passages[:1], "negative_passages": passages[1:]}
    path = lines(tmp_path, row)
    assert RankingTask.read_examples(path) == [RankingExample("q", ("T\na", "b"), (1.0, 0.0), line=1)]


def test_booleans_as_labels(tmp_path):
    path = write(tmp_path, "a.csv", "query,candidate,label\nq,a,True\nq,b,FALSE\n")
    columns = {"label": "label"}
    assert RankingTask.read_examples(path, columns) == [RankingExample("q", ("a", "b"), (1.0, 0.0), line=2)]
    path = lines(tmp_path, *({"query": "q", "candidate": text, "label": text == "a"} for text in "ab"))
    assert RankingTask.read_examples(path, columns)[0].gains == (1.0, 0.0)


def test_dialogues(tmp_path):
    path = lines(tmp_path, *DIALOGUES)
    examples = RankingTask.read_examples(path, options={"candidates": 3, "turns": 2, "responder": "S"})
    assert len(examples) == 20
    assert (examples[0].query, examples[1].query) == ("U00", "S10\nU20")
    assert examples[1].candidates[examples[1].gains.index(1.0)] == "S30"
    assert all(candidate[0] == "S" for example in examples for candidate in example.candidates)
    assert [example.turns for example in examples[:2]] == [1, 2]
    assert len(RankingTask.read_examples(path, options={"candidates": 3, "turns": 2})) == 30
    assert RankingTask.from_examples(examples, path).dialogue is True


def test_judgements(tmp_path):
    documents = write(tmp_path, "d.jsonl", "".join(f'{{"id": "d{n}", "text": "t{n}"}}\n' for n in range(5)))
    queries = write(tmp_path, "q.jsonl", '{"id": "q", "text": "how"}\n')
    judgements = write(tmp_path, "qrels.txt", "q 0 d1 1\nq 0 d2 2\nq 0 d3 0\n")
    options = {"documents": str(documents), "queries": str(queries), "candidates": 10}
    one, two = RankingTask.read_examples(judgements, options=options)
    assert sorted(one.candidates) == ["t0", "t1", "t3", "t4"]
    assert sorted(two.candidates) == ["t0", "t2", "t3", "t4"]
    assert two.candidates[two.gains.index(1.0)] == "t2"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"query": "", "candidates": ["a"], "label": 0}, r":2: expected a text, or a list of turns, as 'query'\. "),
        ({"query": "q", "candidates": [], "label": 0}, r":2: expected a list of texts as candidates\. Received \[\]$"),
        ({"query": "q", "candidates": ["a", ""], "label": 0}, r":2: expected a list of texts as candidates\. "),
        (
            {"query": "q", "candidates": ["a"], "label": 1},
            r":2: expected the place .*, 0 to 0, as 'label'\. Received 1$",
        ),
        ({"query": "q", "candidates": ["a"]}, r":2: expected the place .*, as 'label'\. Received None$"),
        (
            {"query": "q", "candidates": ["a"], "label": [-1]},
            r":2: expected a label of 0 or more, or yes or no\. Received -1$",
        ),
    ],
)
def test_objects_that_cannot_be(tmp_path, value, message):
    path = lines(tmp_path, {"query": "q", "candidates": ["a", "b"], "label": 0}, value)
    with pytest.raises(DataError, match=rf"a\.jsonl{message}"):
        RankingTask.read_examples(path)
    assert len(RankingTask.read_examples(path, bad=BadRows(1))) == 1


def test_other_files_that_cannot_be(tmp_path):
    with pytest.raises(DataError, match=r'a\.jsonl:1: expected \{"turns": .* in each\. Received \[\]$'):
        RankingTask.read_examples(lines(tmp_path, {"turns": []}))
    path = write(tmp_path, "a.csv", "query,candidate,label\nq,a,perhaps\n")
    with pytest.raises(DataError, match=r"a\.csv:2: expected a label of 0 or more, or yes or no\. Received 'perhaps'$"):
        RankingTask.read_examples(path, {"label": "label"})
    example = RankingExample("q", ("a", "b"), (0.0, 0.0), 0, 7)
    with pytest.raises(
        DataError, match=r"^a\.csv:7: expected a right and a wrong candidate for 'q'\. Received 0 right of 2$"
    ):
        RankingTask().keep_valid([example], "a.csv")
    assert RankingTask("sigmoid").keep_valid([example], "a.csv") == [example]
    with pytest.raises(UsageError, match=r"^candidates must be at least 2\. Received: candidates=1$"):
        RankingTask.read_examples(tmp_path / "a.csv", options={"candidates": 1})
    with pytest.raises(UsageError, match=r"^negatives must be at least 1\. Received: negatives=0$"):
        RankingTask.from_examples([example], "a.csv", {"negatives": 0})


# === Training ===


@pytest.fixture
def encode(vocabulary):
    return GraphEncoder(Tokenizer(vocabulary).to_graph(), 8)


def test_training_takes_as_many_negatives_as_asked(encode):
    examples = [
        RankingExample("cat", ("dog", "mat", "the", "a"), (0.0, 1.0, 0.0, 0.0)),
        RankingExample("a", ("the",), (1.0,)),
    ]
    rows = RankingTask(negatives=1).training_rows(examples, encode)
    assert rows.group_sizes.tolist() == [2, 1]
    assert rows.targets["gains"].values.tolist() == [1, 0, 1]
    assert rows.ids.values.tolist() == [2, 7, 3, 11, 3, 2, 7, 3, 8, 3, 2, 6, 3, 5, 3]


def test_a_long_dialogue_loses_its_beginning(encode):
    example = [RankingExample("cat\nmat mat mat dog", ("sat ran",), (1.0,), 2)]
    ids = [RankingTask(dialogue=flag).training_rows(example, encode).ids.values.tolist() for flag in (False, True)]
    assert ids == [[2, 7, 11, 11, 3, 9, 12, 3], [2, 11, 11, 8, 3, 9, 12, 3]]


def test_losses_by_hand():
    batch = {"gains": tf.constant([[0.0, 1.0, -1.0], [3.0, 1.0, 0.0]])}
    outputs = {"logits": tf.constant([[1.0, 2.0, 9.0], [0.0, 0.0, 1.0]])}
    together = RankingTask("softmax")
    sums = together.loss_sums(outputs, batch)
    expected = np.log1p(np.exp(-1)) + np.log(2 + np.e)
    assert float(sums["ranking_loss"]) == pytest.approx(expected, rel=1e-5)
    assert float(sums["accuracy"]) == 1
    assert float(together.loss_weights(batch)["ranking_loss"]) == 2
    alone = RankingTask("sigmoid")
    expected = np.log1p(np.e) + np.log1p(np.exp(-2)) + 2 * np.log(2) + np.log1p(np.e)
    assert float(alone.loss_sums(outputs, batch)["ranking_loss"]) == pytest.approx(expected, rel=1e-5)
    assert float(alone.loss_weights(batch)["ranking_loss"]) == 5


# === Answers ===


@pytest.mark.long
def test_answers_whatever_the_other_queries(ranker):
    model = load(ranker)
    queries, candidates = ["the cat", "a dog"], [["sat", "ran fast", "on the mat"], ["the"]]
    long, short = model.predict(queries, candidates)
    assert list(long) == ["query", "candidates", "best", "order", "scores", "probabilities"]
    assert long["order"] == np.argsort(long["scores"])[::-1].tolist()
    assert long["best"] == candidates[0][long["order"][0]]
    assert sum(long["probabilities"]) == pytest.approx(1, abs=1e-5)
    assert (short["order"], short["best"]) == ([0], "the")
    (alone,) = model.predict(queries[:1], candidates[:1])
    assert alone["scores"] == pytest.approx(long["scores"], abs=1e-5)
    (turned,) = model.predict(queries[:1], [candidates[0][::-1]])
    assert turned["scores"] == pytest.approx(long["scores"][::-1], abs=1e-5)
    assert model.task.text_line(short) == "the\t1.0000\ta dog"


@pytest.mark.long
def test_empty_candidates_keep_the_places_of_the_others(ranker):
    model = load(ranker)
    gaps, none, full = model.predict(["the cat"] * 3, [["", "sat", "", "ran fast", ""], ["", ""], ["sat", "ran fast"]])
    assert gaps["scores"] == pytest.approx([0, full["scores"][0], 0, full["scores"][1]], abs=1e-5)
    assert gaps["probabilities"] == pytest.approx([0, full["probabilities"][0], 0, full["probabilities"][1]], abs=1e-5)
    assert gaps["order"] == [[1, 3][place] for place in full["order"]]
    assert model.task.text_line(gaps) == model.task.text_line(full)
    assert (none["best"], none["order"], none["scores"]) == ("", [], [])


def test_metrics(ranker):
    task = RankingTask()
    examples = [RankingExample("q", ("a", "b", "c"), (0.0, 1.0, 0.0)), RankingExample("r", ("a", "b"), (1.0, 0.0))]
    scores = np.array([[0.1, 0.2, 0.3], [0.0, 0.0, 0.0]])
    metrics = task.evaluate(examples, {"scores": scores})
    assert (metrics["mrr"], metrics["recall@1"], metrics["recall@5"]) == (0.5, 0.0, 1.0)
    assert (metrics["examples"], metrics["candidates_per_query"]) == (2, 2.5)


def test_settings_round_trip():
    task = RankingTask("sigmoid", True, 3)
    settings = json.loads(json.dumps(task.settings()))
    assert RankingTask.from_settings(settings).settings() == task.settings()
    with pytest.raises(ValueError, match="no such loss"):
        RankingTask.from_settings(settings | {"loss": "hinge"})


# === Cross-encoders of other libraries ===


@pytest.mark.long
@pytest.mark.parametrize(
    ("keys", "activation"),
    [
        ({}, "sigmoid"),
        ({"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}, "identity"),
        ({"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid"}}, "sigmoid"),
        ({"sentence_transformers": {"activation_fn": "torch.nn.Identity"}, "problem_type": "regression"}, "identity"),
    ],
)
def test_a_classifier_with_one_logit_is_a_cross_encoder(tmp_path, make_cross_encoder, keys, activation):
    model = load(make_cross_encoder(tmp_path / "m", **keys))
    assert model.task.settings() == RankingTask("sigmoid", activation=activation).settings()
    (row,) = model.predict(["the dog"], [["a cat", "the mat"]])
    expected = (
        row["probabilities"] if activation == "sigmoid" else [math.log(p / (1 - p)) for p in row["probabilities"]]
    )
    assert row["scores"] == pytest.approx(expected, abs=1e-5)
    assert model.sequence_length == 32


@pytest.mark.slow
def test_a_regression_is_no_cross_encoder(tmp_path, make_cross_encoder):
    folder = make_cross_encoder(tmp_path / "a", problem_type="regression")
    assert load(folder).task.name == "regression"
    assert load(folder, paired=True).predict(["a dog"], ["the cat"])[0]["value"] == pytest.approx(
        load(make_cross_encoder(tmp_path / "b", sbert_ce_default_activation_function="torch.nn.Identity")).predict(
            ["a dog"], [["the cat"]]
        )[0]["scores"][0],
        abs=1e-5,
    )
    assert load(folder, task="ranking").task.name == "ranking"
    assert load(make_cross_encoder(tmp_path / "c"), task="regression", paired=True).task.paired
    with pytest.raises(BundleError, match=r"cannot be read as a model for classification \(BertForSequenceClassif"):
        load(folder, task="classification")


def test_cross_encoders_that_cannot_be(tmp_path, make_cross_encoder, ranker):
    folder = make_cross_encoder(tmp_path / "m", sbert_ce_default_activation_function="mine.Odd")
    with pytest.raises(BundleError, match=r"the activation must be torch\.nn\.Identity or torch\.nn\.Sigmoid\. Rec"):
        load(folder)
    with pytest.raises(UsageError, match=r"is for ranking\. Received: regression$"):
        load(ranker, task="regression")


def test_a_ranking_model_says_that_its_scores_are_logits():
    config = RankingTask().foreign_config()
    assert config["id2label"] == {"0": "score"}
    assert config["sentence_transformers"] == {"activation_fn": "torch.nn.modules.linear.Identity"}
