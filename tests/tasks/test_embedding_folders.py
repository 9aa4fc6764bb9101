import numpy as np
import pytest

from kbert.errors import BundleError, UsageError
from kbert.model_folder.sentence_files import read_modules
from kbert.prediction.feature_vectors import extract_features
from kbert.prediction.loading import load
from kbert.tasks.embedding import EmbeddingTask
from kbert.training.finetune import finetune


def write(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def hidden_states(folder, texts):
    """The last block's vectors of all tokens of each text."""
    return extract_features(folder, texts, pooling="none")


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
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
