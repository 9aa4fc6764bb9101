"""Folders of sentence-transformers in kbert, and the reverse: both libraries compute the same vectors and scores."""

import json

import numpy as np
import pytest
from scipy.stats import spearmanr

from kbert.prediction.loading import load
from kbert.tasks.embedding import EmbeddingTask
from kbert.tasks.ranking import RankingTask
from kbert.text.tokenizer import Tokenizer
from kbert.training.finetune import finetune

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("default")]

library = pytest.importorskip("sentence_transformers")

TEXTS = ["The cat sat on the mat.", "a dog", "fast !", "slow dogs ran on the mat, the cat sat. " * 4, "A cat"]
PAIRS = ["a slow dog", "the mat , the cat", "on", "the cat", "a dog"]


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def theirs(folder, **settings):
    return library.SentenceTransformer(str(folder), device="cpu", **settings)


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize("path", ["", "0_Transformer"])
def test_a_folder_in_both_layouts(tmp_path, make_sentence_folder, within, pooling, normalized, path):
    flag = {"mean": "mean_tokens", "cls": "cls_token", "max": "max_tokens"}[pooling]
    folder = make_sentence_folder(
        tmp_path / "m",
        pooling={"word_embedding_dimension": 32, f"pooling_mode_{flag}": True},
        modules=["Pooling", "Normalize"] if normalized else ["Pooling"],
        transformer={"max_seq_length": 12, "do_lower_case": False},
        path=path,
    )
    within(
        "sentence-transformers: vectors",
        load(folder).answers(TEXTS)["vector"],
        theirs(folder).encode(TEXTS),
        bound=1e-5,
    )


def test_a_folder_that_the_library_saves_anew(tmp_path, make_sentence_folder, within):
    """The format of the version that is installed, whatever it is."""
    folder = make_sentence_folder(tmp_path / "m", transformer={"max_seq_length": 10, "do_lower_case": False})
    model = theirs(folder, prompts={"query": "the cat ", "document": "slow "}, default_prompt_name="document")
    model.save(str(tmp_path / "saved"))
    ours = load(tmp_path / "saved")
    assert ours.sequence_length == 10
    for use, name in (({}, None), ({"prompt_name": "query"}, "query"), ({"prompt": ""}, "")):
        expected = model.encode(TEXTS, prompt="") if name == "" else model.encode(TEXTS, prompt_name=name)
        vectors = load(tmp_path / "saved", **use).answers(TEXTS)["vector"]
        within("sentence-transformers: vectors of a folder saved anew", vectors, expected, bound=1e-5)


def test_text_is_lower_cased(tmp_path, make_sentence_folder, vocabulary, within):
    cased = Tokenizer(vocabulary, lowercase=False)
    folder = make_sentence_folder(
        tmp_path / "m", transformer={"max_seq_length": 10, "do_lower_case": True}, tokenizer=cased
    )
    texts = ["The CAT", "a Dog RAN", "É the mat"]
    within(
        "sentence-transformers: do_lower_case",
        load(folder).answers(texts)["vector"],
        theirs(folder).encode(texts),
        bound=1e-5,
    )


def test_scored_pairs(tmp_path, make_sentence_folder):
    folder = make_sentence_folder(tmp_path / "m", modules=["Pooling"])
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(["the", "cat", "dog", "sat", "mat", "ran"], 6)) for _ in range(80)]
    scores = rng.random(40)
    table = tmp_path / "t.tsv"
    rows = [f"{a}\t{b}\t{score}\n" for a, b, score in zip(texts[:40], texts[40:], scores, strict=True)]
    table.write_text("sentence1\tsentence2\tscore\n" + "".join(rows))
    model = theirs(folder)
    first, second = (
        model.encode(texts[:40], normalize_embeddings=True),
        model.encode(texts[40:], normalize_embeddings=True),
    )
    expected = spearmanr((first * second).sum(-1), scores).statistic
    assert load(folder).evaluate(table)["spearman"] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_what_kbert_fine_tunes_opens_there(tmp_path, pretrained, within, pooling):
    table = tmp_path / "a.csv"
    table.write_text("text,pair\nthe cat,a cat\nthe dog,a dog\nthe mat,a mat\n")
    finetune(
        "embedding",
        model=pretrained,
        train=table,
        validation=table,
        pair_column="pair",
        output=tmp_path / "run",
        pooling=pooling,
        prompt="slow ",
        epochs=2,
        sequence_length=14,
        show_progress=False,
    )
    model = theirs(tmp_path / "run")
    assert model.max_seq_length == 14
    assert [type(module).__name__ for module in model] == ["Transformer", "Pooling", "Normalize"]
    vectors = load(tmp_path / "run").answers(TEXTS)["vector"]
    within("sentence-transformers: vectors of a kbert run", model.encode(TEXTS), vectors, bound=1e-5)
    assert model.prompts["query"] == "slow "


@pytest.mark.parametrize("name", ["identity", "sigmoid"])
def test_a_ranking_model_is_a_cross_encoder(tmp_path, make_task_model, within, name):
    folder = make_task_model(tmp_path / "m", RankingTask(activation=name), sequence_length=32)
    scores = library.CrossEncoder(str(folder), device="cpu").predict(list(zip(TEXTS, PAIRS, strict=True)))
    ours = load(folder).answers(TEXTS, [[pair] for pair in PAIRS])["scores"][:, 0]
    within("sentence-transformers: scores of a kbert ranking model", ours, scores, bound=1e-5)


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"},
        {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid", "version": "4.0.0"}},
    ],
)
def test_a_cross_encoder_is_a_ranking_model(tmp_path, make_cross_encoder, within, keys):
    folder = make_cross_encoder(tmp_path / "m", **keys)
    model = library.CrossEncoder(str(folder), device="cpu")
    expected = model.predict(list(zip(TEXTS, PAIRS, strict=True)))
    model.save(str(tmp_path / "saved"))
    for each in (folder, tmp_path / "saved"):
        ours = load(each)
        assert ours.task.name == "ranking"
        scores = ours.answers(TEXTS, [[pair] for pair in PAIRS])["scores"][:, 0]
        within("sentence-transformers: scores of a cross-encoder", scores, expected, bound=1e-5)


def test_a_folder_of_kbert_is_read_without_kbert_json(tmp_path, make_task_model, within):
    folder = make_task_model(tmp_path / "m", EmbeddingTask(pooling="max"))
    EmbeddingTask(pooling="max").sentence_modules(24).save(folder, 32)
    expected = load(folder).answers(TEXTS)["vector"]
    assert json.loads((folder / "kbert.json").read_text())["task"]["pooling"] == "max"
    (folder / "kbert.json").unlink()
    np.testing.assert_array_equal(load(folder).answers(TEXTS)["vector"], expected)
    within("sentence-transformers: vectors of a kbert folder", theirs(folder).encode(TEXTS), expected, bound=1e-5)
