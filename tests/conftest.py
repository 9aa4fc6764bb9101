"""Fixtures for all tests: a tiny vocabulary, a tiny text, a corpus made of both, and the folder of real data."""

import os
from pathlib import Path

import pytest

from kbert.corpus.build import build_corpus
from kbert.text.vocabulary import Vocabulary

SENTENCES = (
    "The cat sat on the mat.",
    "A dog ran fast!",
    "The dogs ran, the cats sat.",
    "An unaffable cat matted the mats.",
    "A slow dog sat on a slow cat.",
    "Fast cats ran on.",
    "The mat, the cat, the dog.",
)


@pytest.fixture
def vocabulary():
    """Ids 0 to 22, in this order."""
    return Vocabulary(
        "[PAD] [UNK] [CLS] [SEP] [MASK] the a cat dog sat on mat ran fast slow "
        "##s ##ed un ##aff ##able . , !".split()
    )


@pytest.fixture
def vocab_file(tmp_path, vocabulary):
    path = tmp_path / "vocab.txt"
    vocabulary.save(path)
    return path


@pytest.fixture
def corpus_text(tmp_path):
    """Eight documents of five sentences each, a blank line between them."""
    documents = [[SENTENCES[(3 * d + s) % len(SENTENCES)] for s in range(5)] for d in range(8)]
    path = tmp_path / "text.txt"
    path.write_text("\n\n".join("\n".join(document) for document in documents) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def corpus(tmp_path, vocab_file, corpus_text):
    """A folder of records with dynamic masks, sequence_length 16."""
    folder = tmp_path / "corpus"
    build_corpus([corpus_text], vocab=vocab_file, output=folder, sequence_length=16)
    return folder


@pytest.fixture(scope="session")
def data():
    """Real texts, tables and vocabularies: the folder that KBERT_DATA names, else ../shared/data."""
    default = Path(__file__).parent.parent.parent / "shared" / "data"
    folder = Path(os.environ.get("KBERT_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"needs the data folder: {folder} is missing; name it with KBERT_DATA")
    return folder


@pytest.fixture(scope="session")
def goldens(data):
    """Token ids of the original BERT tokenizers, in ../goldens beside the data."""
    folder = data.parent / "goldens"
    if not folder.is_dir():
        pytest.skip(f"needs the golden token ids: {folder} is missing")
    return folder
