import json

import numpy as np
import pytest

from kbert.errors import DataError, UsageError
from kbert.prediction.loading import load
from kbert.tasks.embedding import EmbeddingTask
from kbert.tasks.readers.embedding import EmbeddingExample


def write(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


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
