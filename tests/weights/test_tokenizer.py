"""The tokenizer settings of real models are passed on from a model to a corpus and back."""

import pytest

from kbert.corpus.building.build import build_corpus
from kbert.corpus.reading.pipeline import PretrainingBatches
from kbert.errors import UsageError
from kbert.model_folder.tokenizer import load_model_tokenizer
from kbert.text.unreachable_entries import unreachable_entries
from kbert.training.corpus_tokenizer import check_corpus

pytestmark = pytest.mark.weights

TEXT = "Zürich und Genf.\nDie Straße ist lang.\n\nมี แมว ดำ\n猫が座った。\n"


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT * 8, encoding="utf-8")
    return path


def build(text, folder, vocab, **options):
    build_corpus([text], vocab=vocab, output=folder, sequence_length=32, **options)
    return PretrainingBatches(folder, batch_size=1)


@pytest.mark.parametrize("name", ["minilm", "e5"])
def test_a_corpus_of_a_model_has_its_tokenizer(request, text, tmp_path, name):
    model = request.getfixturevalue(name)
    tokenizer = load_model_tokenizer(model)
    batches = build(text, tmp_path / "corpus", model)
    assert (
        batches.tokenizer.replace(model_max_length=tokenizer.settings.model_max_length).settings == tokenizer.settings
    )
    assert batches.vocabulary == tokenizer.vocabulary
    check_corpus(batches, tokenizer, corpus="corpus", model=name)


def test_a_cased_model_and_its_vocab_txt_alone(e5, text, tmp_path, caplog):
    """The file lies beside settings that it is not used with; a fifth of its entries would never occur."""
    batches = build(text, tmp_path / "corpus", e5 / "vocab.txt")
    with pytest.raises(
        UsageError, match=r"e5 tokenizes text with lowercase=False, strip_accents=False, but the corpus"
    ):
        check_corpus(batches, load_model_tokenizer(e5), corpus="corpus", model="e5")
    assert {reason: len(tokens) for reason, tokens in unreachable_entries(batches.tokenizer).items()} == {
        "capitals": 23025,
        "accents": 21258,
    }
    assert f"give --vocab {e5} to use the folder's settings" in caplog.text
    assert "capitals in 23,025 of the 124,450 entries" in caplog.text
