import json

import numpy as np
import pytest
import tensorflow as tf

from kbert.errors import DataError, UsageError
from kbert.predictor import load
from kbert.tasks.bad_rows import BadRows
from kbert.tasks.embedding import EmbeddingExample, EmbeddingTask
from kbert.text.graph_encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer
from kbert.training.finetune import finetune

COLUMNS = {"pair": "pair", "negative": "negative"}


def write(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


# === Reading ===


def test_the_columns_say_what_is_learnt(tmp_path):
    path = write(tmp_path, "a.csv", "text,pair,negative,score\nthe cat,a cat,a dog,4.5\nthe mat,a mat,ran,0\n")
    for columns, objective in (
        ({}, "unsupervised"),
        ({"pair": "pair"}, "pairs"),
        (COLUMNS, "pairs"),
        ({"pair": "pair", "score": "score"}, "scores"),
    ):
        examples = EmbeddingTask.read(path, columns)
        assert EmbeddingTask.from_examples(examples, path).objective == objective
    assert examples == [
        EmbeddingExample("the cat", "a cat", None, 4.5, 2),
        EmbeddingExample("the mat", "a mat", None, 0.0, 3),
    ]
    assert EmbeddingTask.from_examples(examples, path).score_range == [0.0, 4.5]
    assert EmbeddingTask.read(path, COLUMNS, targets=False) == [
        EmbeddingExample("the cat", line=2),
        EmbeddingExample("the mat", line=3),
    ]
    triplets = EmbeddingTask.from_examples(EmbeddingTask.read(path, COLUMNS), path, {"objective": "triplets"})
    assert (triplets.objective, triplets.losses, triplets.whole_batches) == ("triplets", ("triplet_loss",), False)


def test_a_text_a_line(tmp_path):
    path = write(tmp_path, "a.txt", "the cat\n\na dog\n")
    assert EmbeddingTask.read(path) == [EmbeddingExample("the cat", line=1), EmbeddingExample("a dog", line=3)]


def test_judgements(tmp_path):
    documents = write(tmp_path, "d.jsonl", '{"id": "d1", "text": "x"}\n{"id": "d2", "text": "y"}\n')
    queries = write(tmp_path, "q.jsonl", '{"id": "q", "text": "how"}\n')
    judgements = write(tmp_path, "qrels.txt", "q 0 d1 0\nq 0 d2 2\n")
    options = {"documents": str(documents), "queries": str(queries)}
    assert EmbeddingTask.read(judgements, options=options) == [EmbeddingExample("how", "y", line=1)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("the cat, ,1", r"a\.csv:3: expected a pair\. Received an empty one$"),
        (",a cat,1", r"a\.csv:3: expected a text\. Received an empty one$"),
        ("the cat,a cat,high", r"a\.csv:3: expected a number as score\. Received 'high'$"),
        ("the cat,a cat,inf", r"a\.csv:3: expected a number as score\. Received 'inf'$"),
        ("the cat", r"a\.csv:3: expected at least 3 columns\. Received 1$"),
    ],
)
def test_rows_that_cannot_be(tmp_path, row, message):
    path = write(tmp_path, "a.csv", f"text,pair,score\na,b,1\n{row}\n")
    columns = {"pair": "pair", "score": "score"}
    with pytest.raises(DataError, match=message):
        EmbeddingTask.read(path, columns)
    assert len(EmbeddingTask.read(path, columns, bad=BadRows(1))) == 1


def test_what_cannot_be_learnt(tmp_path):
    pairs, scored = [EmbeddingExample("a", "b")], [EmbeddingExample("a", "b", score=1.0)]
    with pytest.raises(UsageError, match=r"^a score needs the text it goes with: name the column of pairs"):
        EmbeddingTask.read(write(tmp_path, "a.csv", "text,score\na,1\n"), {"score": "score"})
    with pytest.raises(DataError, match=r"^a\.csv: expected scores that differ\. Received 1 alone$"):
        EmbeddingTask.from_examples(scored, "a.csv")
    with pytest.raises(UsageError, match=r"^the objective pairs takes every pair for a good one; leave out the col"):
        EmbeddingTask.from_examples(scored, "a.csv", {"objective": "pairs"})
    with pytest.raises(UsageError, match=r"^temperature and margin must be above 0\. Received: temperature=0\.0, "):
        EmbeddingTask.from_examples(pairs, "a.csv", {"temperature": 0.0})
    with pytest.raises(DataError, match=r"^a\.csv: the objective triplets needs a negative for each text "):
        EmbeddingTask("triplets").checked(pairs, "a.csv")
    with pytest.raises(DataError, match=r"^dev\.csv: validation needs pairs of texts, with scores or without: "):
        EmbeddingTask("unsupervised").validated_by([EmbeddingExample("a")], "dev.csv")


def test_validation_decides_the_main_metric():
    task = EmbeddingTask("unsupervised")
    assert task.validated_by([EmbeddingExample("a", "b", score=1.0)], "dev.csv").main_metric == "spearman"
    assert task.validated_by([EmbeddingExample("a", "b")], "dev.csv").main_metric == "mrr"


def test_settings_round_trip():
    task = EmbeddingTask("scores", "cls", 0.1, 0.3, (0.0, 5.0))
    settings = json.loads(json.dumps(task.settings()))
    assert EmbeddingTask.from_settings(settings).settings() == task.settings()
    with pytest.raises(ValueError, match="no such objective or pooling"):
        EmbeddingTask.from_settings(settings | {"pooling": "max"})


# === Training ===


@pytest.fixture
def encode(vocabulary):
    return GraphEncoder(Tokenizer(vocabulary).to_graph(), 8)


def test_rows_of_pairs_know_all_that_goes_with_a_text(encode):
    examples = [EmbeddingExample("cat", "a cat"), EmbeddingExample("cat", "the cat"), EmbeddingExample("dog", "a cat")]
    rows = EmbeddingTask("pairs").training_rows(examples, encode)
    assert rows.group_sizes.tolist() == [2, 2, 2]
    assert rows.ids.values.tolist()[:7] == [2, 7, 3, 2, 6, 7, 3]
    assert rows.targets["candidates"].tolist() == [[0], [1], [0]]
    assert rows.targets["positives"].values.tolist() == [0, 1, 0, 1, 0]
    assert rows.targets["positives"].lengths.tolist() == [2, 2, 1]


def test_a_text_is_no_wrong_answer_to_itself(encode):
    examples = [EmbeddingExample("cat", "dog"), EmbeddingExample("dog", "cat")]
    rows = EmbeddingTask("pairs").training_rows(examples, encode)
    assert rows.targets["candidates"].tolist() == [[0], [1]]
    assert [sorted(rows.targets["positives"].values.tolist()[start : start + 2]) for start in (0, 2)] == [[0, 1]] * 2
    metrics = EmbeddingTask().evaluate(examples, {"vector": unit(0, 5)})
    assert metrics["mrr"] == metrics["recall@1"] == 1.0


def test_unsupervised_items_are_texts_twice(encode):
    rows = EmbeddingTask("unsupervised").training_rows(
        [EmbeddingExample("cat", "dog"), EmbeddingExample("cat")], encode
    )
    assert rows.ids.values.tolist() == [2, 7, 3, 2, 7, 3, 2, 8, 3, 2, 8, 3]
    assert rows.targets["candidates"].tolist() == [[0], [1]]


def test_scores_are_scaled(encode):
    task = EmbeddingTask("scores", score_range=(1.0, 5.0))
    rows = task.training_rows(
        [EmbeddingExample("a", "the", score=2.0), EmbeddingExample("a", "the", score=5.0)], encode
    )
    assert rows.targets["scores"].tolist() == [0.25, 1.0]


def unit(*degrees):
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], -1).astype(np.float32)


def test_contrastive_loss_by_hand():
    # Two texts, each with its pair and a negative; the first text's negative is what goes with the second text too.
    vectors = np.stack([unit(0, 10, 60), unit(90, 70, 0)])
    batch = {
        "input_word_ids": tf.zeros([2, 3, 1], tf.int32),
        "candidates": tf.constant([[0, 1], [2, 3]]),
        "positives": tf.constant([[0, -1], [2, 1]]),
    }
    task = EmbeddingTask("pairs", temperature=0.5)
    sums = task.numerators({"vector": tf.constant(vectors)}, batch)
    cosine = np.cos(np.radians([[0 - 10, 0 - 60, 0 - 70, 0 - 0], [80, 30, 20, 90]])) / 0.5
    cosine[1, 1] = -np.inf
    expected = sum(np.log(np.exp(row).sum()) - row[right] for row, right in zip(cosine, (0, 2), strict=True))
    assert float(sums["contrastive_loss"]) == pytest.approx(expected, rel=1e-5)
    assert float(sums["accuracy"]) == 1  # the first text's nearest is the second's negative
    assert {name: float(value) for name, value in task.denominators(batch).items()} == {
        "contrastive_loss": 2,
        "accuracy": 2,
    }


def test_other_losses_by_hand():
    triplets = EmbeddingTask("triplets", margin=0.2).numerators(
        {"vector": tf.constant(np.stack([unit(0, 60, 90), unit(0, 90, 60)]))}, {}
    )
    assert float(triplets["triplet_loss"]) == pytest.approx(0.7, abs=1e-5)  # 0 - 0.5 + 0.2 < 0; 0.5 - 0 + 0.2
    assert float(triplets["accuracy"]) == 1
    scores = EmbeddingTask("scores").numerators(
        {"vector": tf.constant(np.stack([unit(0, 60), unit(0, 0)]))}, {"scores": tf.constant([1.0, 0.25])}
    )
    assert float(scores["squared_error"]) == pytest.approx(0.25 + 0.5625, abs=1e-5)


# === Answers ===


def test_vectors_are_of_length_one_whatever_the_batch(embedder):
    model = load(embedder)
    texts = ["the cat sat", "", "a dog", "the " * 40]
    vectors = model.answers(texts)["vector"]
    assert vectors.shape == (4, 32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1, atol=1e-5)
    np.testing.assert_allclose(model.answers(texts, batch_size=1)["vector"], vectors, atol=1e-5)
    (answer,) = model.predict(["a dog"])
    assert list(answer) == ["text", "vector"]
    assert answer["vector"] == pytest.approx(vectors[2].tolist(), abs=1e-5)


def test_retrieval_metrics():
    task = EmbeddingTask()
    examples = [EmbeddingExample("q1", "d1"), EmbeddingExample("q2", "d2"), EmbeddingExample("q1", "d3")]
    assert task.inputs(examples) == {"text": ["q1", "d1", "q2", "d2", "d3"]}
    metrics = task.evaluate(examples, {"vector": unit(0, 5, 90, 50, 10)})
    assert metrics["queries"] == 2
    assert metrics["candidates"] == 3
    assert (metrics["mrr"], metrics["recall@1"], metrics["recall@5"]) == (1.0, 0.75, 1.0)
    collapsed = task.evaluate(examples, {"vector": np.ones((5, 2), np.float32)})
    assert collapsed["recall@1"] == 0  # no luck for a model that cannot tell texts apart


def test_correlations_equal_those_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    examples = [EmbeddingExample(f"a{n}", f"b{n}", score=float(rng.integers(0, 6))) for n in range(50)]
    vectors = rng.normal(size=(100, 4)).astype(np.float32)
    metrics = EmbeddingTask().evaluate(examples, {"vector": vectors})
    cosines = (vectors[::2] * vectors[1::2]).sum(-1)
    scores = [example.score for example in examples]
    assert metrics["spearman"] == pytest.approx(stats.spearmanr(cosines, scores).statistic, abs=1e-9)
    assert metrics["pearson"] == pytest.approx(stats.pearsonr(cosines.astype(np.float64), scores).statistic, abs=1e-6)


# === Fine-tuning ===


@pytest.fixture
def pairs(tmp_path):
    animals, places = ["cat", "dog", "mat", "the", "a"], ["sat", "ran", "fast", "slow", "on"]
    rows = [f"{a} {b},{b} {a}" for a in animals for b in places]
    return write(tmp_path, "pairs.csv", "text,pair\n" + "\n".join(rows) + "\n")


def run(table, output, model, **options):
    settings = {"batch_size": 8, "learning_rate": 1e-3, "sequence_length": 8, "show_progress": False}
    return finetune(
        "embedding",
        model=model,
        train=table,
        validation=table,
        output=output,
        **settings | {"pair_column": "pair"} | options,
    )


def test_pairs_are_learnt(tmp_path, pairs, pretrained):
    whole = run(pairs, tmp_path / "whole", pretrained, epochs=8)
    assert whole["mrr"] > 0.8
    assert load(tmp_path / "whole").evaluate(pairs, {"pair": "pair"}) == whole


def without_times(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [
        {name: value for name, value in row.items() if name not in ("seconds", "tokens_per_second", "mfu")}
        for row in rows
    ]


@pytest.mark.slow
def test_a_resumed_run_is_the_same(tmp_path, pairs, pretrained):
    options = {"epochs": 2, "checkpoint_every": 4, "log_every": 2}
    run(pairs, tmp_path / "whole", pretrained, **options)
    run(pairs, tmp_path / "cut", pretrained, **options)
    rows = without_times(tmp_path / "cut")
    for path in (tmp_path / "cut" / "checkpoints").iterdir():
        if path.name.endswith(("7.safetensors", "6.safetensors")):
            path.unlink()
    run(pairs, tmp_path / "cut", pretrained, **options, resume=True)
    assert without_times(tmp_path / "cut") == rows
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]


def test_in_batch_negatives_need_the_whole_batch(tmp_path, pairs, pretrained):
    with pytest.raises(
        UsageError,
        match=r"^this training of embedding compares all texts of a batch, on one device at once: leave "
        r"--accumulation at 1, and give --strategy one\. Received: accumulation=2, 1 replicas$",
    ):
        run(pairs, tmp_path / "run", pretrained, accumulation=2)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_unsupervised_runs_on_lines_of_text(tmp_path, pairs, pretrained):
    lines = write(tmp_path, "lines.txt", "the cat sat\na dog ran\nfast mat\nslow dog\n" * 3)
    settings = {"batch_size": 4, "sequence_length": 8, "show_progress": False, "epochs": 1, "pair_column": "pair"}
    metrics = finetune(
        "embedding", model=pretrained, train=lines, validation=pairs, output=tmp_path / "run", **settings
    )
    assert 0 < metrics["mrr"] <= 1
