import json

import numpy as np
import pytest
import tensorflow as tf

from kbert.conversion.vocabulary_extension import extend_vocabulary
from kbert.errors import BundleError, DataError, UsageError
from kbert.model_folder.sentence_transformers import SentenceModules, read_modules
from kbert.prediction.feature_vectors import extract_features
from kbert.prediction.predictor import load
from kbert.sources.bad_rows import BadRows
from kbert.sources.memory_table import as_table
from kbert.tasks.embedding import EmbeddingTask
from kbert.tasks.readers.embedding import EmbeddingExample
from kbert.text.graph.encoder import GraphEncoder
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
        ({}, "scores"),
        (dict.fromkeys(("pair", "negative", "score"), ""), "unsupervised"),
        ({"pair": "pair"}, "pairs"),
        (COLUMNS, "pairs"),
        ({"pair": "pair", "score": "score"}, "scores"),
    ):
        examples = EmbeddingTask.read_examples(path, columns)
        assert EmbeddingTask.from_examples(examples, path).objective == objective
    assert examples == [
        EmbeddingExample("the cat", "a cat", None, 4.5, 2),
        EmbeddingExample("the mat", "a mat", None, 0.0, 3),
    ]
    assert EmbeddingTask.from_examples(examples, path).score_range == [0.0, 4.5]
    assert EmbeddingTask.read_examples(path, COLUMNS, targets=False) == [
        EmbeddingExample("the cat", line=2),
        EmbeddingExample("the mat", line=3),
    ]
    triplets = EmbeddingTask.from_examples(EmbeddingTask.read_examples(path, COLUMNS), path, {"objective": "triplets"})
    assert (triplets.objective, triplets.losses, triplets.needs_whole_batch) == ("triplets", ("triplet_loss",), False)


def test_a_text_a_line(tmp_path):
    path = write(tmp_path, "a.txt", "the cat\n\na dog\n")
    assert EmbeddingTask.read_examples(path) == [EmbeddingExample("the cat", line=1), EmbeddingExample("a dog", line=3)]


def test_judgements(tmp_path):
    documents = write(tmp_path, "d.jsonl", '{"id": "d1", "text": "x"}\n{"id": "d2", "text": "y"}\n')
    queries = write(tmp_path, "q.jsonl", '{"id": "q", "text": "how"}\n')
    judgements = write(tmp_path, "qrels.txt", "q 0 d1 0\nq 0 d2 2\n")
    options = {"documents": str(documents), "queries": str(queries)}
    assert EmbeddingTask.read_examples(judgements, options=options) == [EmbeddingExample("how", "y", line=1)]


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
        EmbeddingTask.read_examples(path, columns)
    assert len(EmbeddingTask.read_examples(path, columns, bad=BadRows(1))) == 1


def test_what_cannot_be_learnt(tmp_path):
    pairs, scored = [EmbeddingExample("a", "b")], [EmbeddingExample("a", "b", score=1.0)]
    with pytest.raises(UsageError, match=r"^a score needs the text it goes with: name the column of pairs"):
        EmbeddingTask.read_examples(write(tmp_path, "a.csv", "text,score\na,1\n"), {"score": "score"})
    with pytest.raises(DataError, match=r"^a\.csv: expected scores that differ\. Received 1 alone$"):
        EmbeddingTask.from_examples(scored, "a.csv")
    with pytest.raises(UsageError, match=r"^the objective pairs treats every pair as similar; leave out the col"):
        EmbeddingTask.from_examples(scored, "a.csv", {"objective": "pairs"})
    with pytest.raises(UsageError, match=r"^temperature must be above 0\. Received: temperature=0\.0$"):
        EmbeddingTask.from_examples(pairs, "a.csv", {"temperature": 0.0})
    with pytest.raises(DataError, match=r"^a\.csv: the objective triplets needs a negative for each text "):
        EmbeddingTask("triplets").keep_valid(pairs, "a.csv")
    with pytest.raises(DataError, match=r"^dev\.csv: validation needs pairs of texts, with scores or without: "):
        EmbeddingTask("unsupervised").for_validation([EmbeddingExample("a")], "dev.csv")


def test_validation_decides_the_main_metric():
    task = EmbeddingTask("unsupervised")
    assert task.for_validation([EmbeddingExample("a", "b", score=1.0)], "dev.csv").main_metric == "spearman"
    assert task.for_validation([EmbeddingExample("a", "b")], "dev.csv").main_metric == "mrr"


def test_settings_round_trip():
    task = EmbeddingTask("scores", "cls", 0.1, 0.3, (0.0, 5.0))
    settings = json.loads(json.dumps(task.settings()))
    assert EmbeddingTask.from_settings(settings).settings() == task.settings()
    with pytest.raises(ValueError, match="no such objective or pooling"):
        EmbeddingTask.from_settings(settings | {"pooling": "lasttoken"})
    older = {name: settings[name] for name in ("objective", "pooling", "temperature", "margin", "score_range")}
    assert EmbeddingTask.from_settings(older).settings() == task.settings()


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


def test_lists_of_pairs_and_negatives(tmp_path, encode):
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"query": "cat", "pos": ["a cat", "the cat"], "neg": ["dog", "mat"]}\n'
        '{"query": "mat", "pos": ["a mat"], "neg": ["dog"]}\n'
    )
    examples = EmbeddingTask.read_examples(path)
    assert examples == [
        EmbeddingExample("cat", "a cat", ("dog", "mat"), line=1),
        EmbeddingExample("cat", "the cat", ("dog", "mat"), line=1),
        EmbeddingExample("mat", "a mat", "dog", line=2),
    ]
    rows = EmbeddingTask("pairs").training_rows(examples, encode)
    assert rows.group_sizes.tolist() == [4, 4, 3]
    candidates = rows.targets["candidates"]
    assert (candidates.values.tolist(), candidates.lengths.tolist()) == ([0, 1, 2, 3, 1, 2, 4, 1], [3, 3, 2])
    assert candidates.padding == -1
    triplets = EmbeddingTask("triplets").training_rows(examples, encode)
    assert triplets.group_sizes.tolist() == [3] * 5


def test_a_negative_that_an_item_lacks_does_not_count():
    vectors = np.stack([unit(0, 10, 60), unit(90, 70, 0)])
    vectors[1, 2] = 0
    batch = {
        "input_word_ids": tf.zeros([2, 3, 1], tf.int32),
        "candidates": tf.constant([[0, 1], [2, -1]]),
        "positives": tf.constant([[0], [2]]),
    }
    task = EmbeddingTask("pairs", temperature=0.5)
    sums = task.loss_sums({"vector": tf.constant(vectors)}, batch)
    cosine = np.cos(np.radians([[0 - 10, 0 - 60, 0 - 70], [80, 30, 20]])) / 0.5
    expected = sum(np.log(np.exp(row).sum()) - row[right] for row, right in zip(cosine, (0, 2), strict=True))
    assert float(sums["contrastive_loss"]) == pytest.approx(expected, rel=1e-5)


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
    sums = task.loss_sums({"vector": tf.constant(vectors)}, batch)
    cosine = np.cos(np.radians([[0 - 10, 0 - 60, 0 - 70, 0 - 0], [80, 30, 20, 90]])) / 0.5
    cosine[1, 1] = -np.inf
    expected = sum(np.log(np.exp(row).sum()) - row[right] for row, right in zip(cosine, (0, 2), strict=True))
    assert float(sums["contrastive_loss"]) == pytest.approx(expected, rel=1e-5)
    assert float(sums["accuracy"]) == 1  # the first text's nearest is the second's negative
    assert {name: float(value) for name, value in task.loss_weights(batch).items()} == {
        "contrastive_loss": 2,
        "accuracy": 2,
    }


def test_other_losses_by_hand():
    triplets = EmbeddingTask("triplets", margin=0.2).loss_sums(
        {"vector": tf.constant(np.stack([unit(0, 60, 90), unit(0, 90, 60)]))}, {}
    )
    assert float(triplets["triplet_loss"]) == pytest.approx(0.7, abs=1e-5)  # 0 - 0.5 + 0.2 < 0; 0.5 - 0 + 0.2
    assert float(triplets["accuracy"]) == 1
    scores = EmbeddingTask("scores").loss_sums(
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
    assert task.texts_of(examples) == {"text": ["q1", "d1", "q2", "d2", "d3"]}
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
    lengths = np.linalg.norm(vectors, axis=-1)
    cosines = (vectors[::2] * vectors[1::2]).sum(-1) / (lengths[::2] * lengths[1::2])
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
    # The loss is measured while a model is trained.
    assert load(tmp_path / "whole").evaluate(pairs, pair_column="pair") | {"loss": whole["loss"]} == whole


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
        match=r"^this training of embedding compares all texts of a batch, which must be on one device: give "
        r"accumulation=1 and strategy='one'\. Received: accumulation=2, 1 replicas$",
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


# === Encoders of other libraries ===


def hidden_states(folder, texts):
    """The last block's vectors of all tokens of each text."""
    return extract_features(folder, texts, pooling="none")


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
@pytest.mark.parametrize("normalized", [True, False])
def test_a_folder_of_sentence_transformers(tmp_path, make_sentence_folder, pooling, normalized):
    folder = make_sentence_folder(
        tmp_path / "m",
        pooling={"word_embedding_dimension": 32, "pooling_mode": pooling},
        modules=["Pooling", "Normalize"] if normalized else ["Pooling"],
        transformer={"max_seq_length": 9, "do_lower_case": False},
        path="0_Transformer",
    )
    model = load(folder)
    texts = ["the cat sat on the mat", "a dog", "the cat sat on the mat " * 3]
    assert (model.task.name, model.sequence_length) == ("embedding", 9)
    reduce = {"mean": lambda rows: rows.mean(0), "cls": lambda rows: rows[0], "max": lambda rows: rows.max(0)}
    short = [" ".join(text.split()[:7]) for text in texts]  # [CLS] and [SEP] are two of nine
    expected = np.stack([reduce[pooling](rows) for rows in hidden_states(folder, short)])
    if normalized:
        expected /= np.linalg.norm(expected, axis=-1, keepdims=True)
    np.testing.assert_allclose(model.answers(texts)["vector"], expected, atol=1e-5)


def test_cosines_are_cosines_whatever_the_length_of_vectors():
    examples = [EmbeddingExample("a", "b", score=1.0), EmbeddingExample("c", "d", score=0.0)]
    vectors = np.array([[1.0, 0.0], [3.0, 3.0], [0.0, 2.0], [9.0, 0.0]], np.float32)
    metrics = EmbeddingTask(normalize=False).evaluate(examples, {"vector": vectors})
    assert (metrics["spearman"], metrics["pearson"]) == (pytest.approx(1), pytest.approx(1))
    # By the dot product the second pair, 9 times as long, is nearer to everything.
    pairs = [EmbeddingExample("a", "b"), EmbeddingExample("c", "d")]
    vectors = np.array([[1.0, 0.1], [1.0, 0.0], [0.5, 1.0], [8.0, 9.0]], np.float32)
    assert EmbeddingTask(normalize=False).evaluate(pairs, {"vector": vectors})["recall@1"] == 1.0
    dot = EmbeddingTask(normalize=False, similarity="dot").evaluate(pairs, {"vector": vectors})
    assert dot["recall@1"] == 0.5


def test_prompts(tmp_path, make_sentence_folder):
    folder = make_sentence_folder(
        tmp_path / "m", library={"prompts": {"query": "the cat ", "long": "slow "}, "default_prompt_name": "long"}
    )
    plain = load(folder, prompt="")
    wanted = plain.answers(["slow dog", "the cat dog", "fast dog"])["vector"]
    for row, use in enumerate(({}, {"prompt_name": "query"}, {"prompt": "fast "})):
        model = load(folder, **use)
        np.testing.assert_allclose(model.answers(["dog"])["vector"][0], wanted[row], atol=1e-6)
        assert model.predict(["dog"])[0]["text"] == "dog"
    with pytest.raises(
        UsageError, match=r"no prompt of that name; it has 'query', 'long'\. Received: prompt_name='q'$"
    ):
        load(folder, prompt_name="q")
    with pytest.raises(UsageError, match=r"^expected prompt or prompt_name; leave one out\. Received: both$"):
        load(folder, prompt_name="query", prompt="x")


def test_an_evaluation_has_prompts_of_both_sides(tmp_path, make_sentence_folder):
    folder = make_sentence_folder(tmp_path / "m")
    table = write(tmp_path, "a.csv", "text,pair\ncat,the cat\ndog,a dog\nmat,a cat\n")
    prompted = write(tmp_path, "b.csv", "text,pair\nslow cat,fast the cat\nslow dog,fast a dog\nslow mat,fast a cat\n")
    columns = {"pair": "pair"}
    assert load(folder, prompt="slow ", pair_prompt="fast ").evaluate(table, pair_column="pair") == load(
        folder
    ).evaluate(prompted, pair_column="pair")
    task = EmbeddingTask(prompt="slow ", pair_prompt="fast ")
    examples = EmbeddingTask.read_examples(table, columns)
    assert task.texts_of(examples) == {"text": ["cat", "the cat", "dog", "a dog", "mat", "a cat"]}
    assert task.evaluation_texts(examples)["text"] == [
        "slow cat",
        "fast the cat",
        "slow dog",
        "fast a dog",
        "slow mat",
        "fast a cat",
    ]


def test_prompts_that_are_left_out_of_the_pooling(tmp_path, make_sentence_folder):
    pooling = {"word_embedding_dimension": 32, "pooling_mode": "mean", "include_prompt": False}
    library = {"prompts": {"query": "the "}, "default_prompt_name": "query"}
    folder = make_sentence_folder(tmp_path / "m", pooling=pooling, library=library)
    with pytest.raises(
        UsageError, match=r"excludes its prompts from the pooling \(include_prompt\), which kbert does not"
    ):
        load(folder)
    assert load(folder, prompt="").predict(["cat"])[0]["vector"]
    table = write(tmp_path, "a.csv", "text,pair\nthe cat,a cat\nthe dog,a dog\n")
    settings = {"train": table, "validation": table, "pair_column": "pair", "epochs": 1, "show_progress": False}
    with pytest.raises(UsageError, match=r"give an empty prompt: --prompt \"\""):
        finetune("embedding", model=folder, output=tmp_path / "run", **settings)
    finetune("embedding", model=folder, output=tmp_path / "run", prompt="", **settings)
    assert not load(tmp_path / "run").task.include_prompt
    assert not read_modules(tmp_path / "run").include_prompt


def test_an_encoder_gives_vectors_once_it_is_told_how(tmp_path, make_sentence_folder, pretrained, classifier):
    bare = make_sentence_folder(tmp_path / "m")
    (bare / "modules.json").unlink()
    with pytest.raises(
        BundleError, match=r"is an encoder \(BertModel\) without a task; give --pooling mean, cls or max"
    ):
        load(bare)
    expected = np.stack([rows.max(0) for rows in hidden_states(bare, ["the cat", "a dog"])])
    expected /= np.linalg.norm(expected, axis=-1, keepdims=True)
    np.testing.assert_allclose(load(bare, pooling="max").answers(["the cat", "a dog"])["vector"], expected, atol=1e-5)
    assert load(pretrained, pooling="cls").task.name == "embedding"
    with pytest.raises(UsageError, match=r"^pooling must be one of mean, cls, max\. Received: pooling='first'$"):
        load(bare, pooling="first")
    with pytest.raises(UsageError, match=r"^--pooling is for models that give vectors; .* a model for classification$"):
        load(classifier, pooling="mean")
    with pytest.raises(UsageError, match=r"^--prompt is for models that give vectors; .* a model for classification$"):
        load(classifier, prompt="x")


def test_modules_that_are_not_computed(tmp_path, make_sentence_folder, logged):
    folder = make_sentence_folder(tmp_path / "m", modules=["Pooling", "Dense"])
    with pytest.raises(
        BundleError, match=r"m has a module Dense, which kbert does not compute; its encoder can be fine-"
    ):
        load(folder)
    assert EmbeddingTask().for_starting_model(folder).pooling == "mean"
    assert logged() == [f"{folder} has a module Dense, which kbert does not compute: only its encoder is used"]


def test_the_usual_columns_are_found(tmp_path, logged):
    path = write(tmp_path, "a.tsv", "id\tsentence1\tsentence2\tscore\n1\tthe cat\ta cat\t4\n")
    assert EmbeddingTask.read_examples(path) == [EmbeddingExample("the cat", "a cat", score=4.0, line=2)]
    options = "--text-column sentence1, --pair-column sentence2, --score-column score"
    assert logged() == [f"{path}: read with {options}"]
    assert EmbeddingTask.read_examples(path, targets=False) == [EmbeddingExample("the cat", line=2)]
    path = write(tmp_path, "b.csv", "anchor,positive,negative\na,b,c\n")
    assert EmbeddingTask.read_examples(path) == [EmbeddingExample("a", "b", "c", line=2)]
    path = write(tmp_path, "c.csv", "text,sentence1,sentence2\na,b,c\n")
    assert EmbeddingTask.read_examples(path) == [EmbeddingExample("a", line=2)]
    with pytest.raises(DataError, match="text"):
        EmbeddingTask.read_examples(write(tmp_path, "d.csv", "one,two\na,b\n"))


def test_fine_tuning_takes_what_the_model_says_and_writes_it(tmp_path, make_sentence_folder):
    start = make_sentence_folder(
        tmp_path / "m",
        pooling={"word_embedding_dimension": 32, "pooling_mode": "max"},
        library={"prompts": {"long": "slow "}, "default_prompt_name": "long"},
    )
    table = write(tmp_path, "a.csv", "text,pair\nthe cat,a cat\nthe dog,a dog\nthe mat,a mat\n")
    settings = {"train": table, "validation": table, "pair_column": "pair", "epochs": 1, "sequence_length": 12}
    finetune("embedding", model=start, output=tmp_path / "run", show_progress=False, **settings)
    task = load(tmp_path / "run").task
    assert (task.pooling, task.prompts, task.prompt, task.pair_prompt) == ("max", {"long": "slow "}, "slow ", "slow ")
    assert read_modules(tmp_path / "run", 32) == SentenceModules(
        "max", True, 12, prompts={"long": "slow ", "query": "slow ", "document": "slow "}, default_prompt="query"
    )
    vectors = load(tmp_path / "run").answers(["the cat"])["vector"]
    # Without kbert.json it is a model of sentence-transformers.
    (tmp_path / "run" / "kbert.json").rename(tmp_path / "kbert.json")
    np.testing.assert_array_equal(load(tmp_path / "run").answers(["the cat"])["vector"], vectors)
    (tmp_path / "kbert.json").rename(tmp_path / "run" / "kbert.json")
    finetune(
        "embedding",
        model=tmp_path / "run",
        output=tmp_path / "next",
        show_progress=False,
        pooling="cls",
        prompt="fast ",
        pair_prompt="",
        **settings,
    )
    task = load(tmp_path / "next").task
    assert (task.pooling, task.prompt, task.pair_prompt) == ("cls", "fast ", "")


def test_a_vocabulary_may_be_extended_before_fine_tuning(tmp_path, make_sentence_folder):
    start = make_sentence_folder(
        tmp_path / "m",
        path="0_Transformer",
        pooling={"pooling_mode_cls_token": True},
        transformer={"max_seq_length": 9},
        library={"prompts": {"query": "slow "}, "default_prompt_name": "query"},
    )
    extend_vocabulary(start, inputs=[write(tmp_path, "t.txt", "cats mats\n" * 9)], add=1, output=tmp_path / "more")
    table = write(tmp_path, "a.csv", "text,pair\nthe cat,a cat\nthe dog,a dog\nthe mat,a mat\n")
    for model in (start, tmp_path / "more"):
        output = tmp_path / f"run_{model.name}"
        settings = {"train": table, "validation": table, "pair_column": "pair", "epochs": 1, "show_progress": False}
        finetune("embedding", model=model, output=output, **settings)
        found = load(output)
        assert (found.task.pooling, found.task.prompt, found.sequence_length) == ("cls", "slow ", 9)


@pytest.mark.parametrize("targets", [True, False])
def test_usual_columns_of_tables_in_memory_and_of_json(tmp_path, logged, targets):
    row = {"anchor": "a cat", "positive": "the cat"}
    pair = "the cat" if targets else None
    path = write(tmp_path, "a.jsonl", json.dumps(row) + "\n")
    for data, line in ((as_table([row], "x"), "the rows of x"), (path, str(path))):
        assert EmbeddingTask.read_examples(data, targets=targets) == [EmbeddingExample("a cat", pair, line=1)]
        told = "--text-column anchor, --pair-column positive" if targets else "--text-column anchor"
        assert logged() == [f"{line}: read with {told}"]


def test_training_rows_have_prompts(encode):
    examples = [EmbeddingExample("cat", "dog", "mat")]
    rows = EmbeddingTask("triplets", prompt="the ", pair_prompt="a ").training_rows(examples, encode)
    assert rows.ids.values.tolist() == [2, 5, 7, 3, 2, 6, 8, 3, 2, 6, 11, 3]
    rows = EmbeddingTask("unsupervised", prompt="the ", pair_prompt="a ").training_rows(
        [EmbeddingExample("cat")], encode
    )
    assert rows.ids.values.tolist() == [2, 5, 7, 3] * 2
