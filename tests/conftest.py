"""Fixtures for all tests: a tiny vocabulary, a tiny text, a corpus made of both, and the folder of real data."""

import importlib.util
import json
import logging
import os
import struct
import sys
import zipfile
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from kbert.config import BertConfig
from kbert.corpus.building.build import build_corpus
from kbert.model_folder.bundle import Bundle
from kbert.runtime.prepare import prepare_runtime
from kbert.text.tokenizer import Tokenizer
from kbert.text.vocabulary import Vocabulary

# oneDNN reads it at its first product, and some machines' AMX is broken: see kbert/runtime/onednn.py.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")
# What runs in this process computes as the program in a process of its own does.
prepare_runtime()

# Other programs may share the machine: a slow example is no failure.
hypothesis.settings.register_profile("kbert", deadline=None)
hypothesis.settings.load_profile("kbert")

# Tests are no package: the table that several of them share is a module by its own name.
_SPEC = importlib.util.spec_from_file_location("every_task", Path(__file__).with_name("every_task.py"))
sys.modules["every_task"] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(sys.modules["every_task"])


@pytest.fixture
def logged(caplog):
    """A function that gives the messages of the logger "kbert" since it was last called."""
    caplog.set_level(logging.INFO, "kbert")

    def take():
        messages = [record.getMessage() for record in caplog.records if record.name.partition(".")[0] == "kbert"]
        caplog.clear()
        return messages

    return take


SENTENCES = (
    "The cat sat on the mat.",
    "A dog ran fast!",
    "The dogs ran, the cats sat.",
    "An unaffable cat matted the mats.",
    "A slow dog sat on a slow cat.",
    "Fast cats ran on.",
    "The mat, the cat, the dog.",
)


@pytest.fixture(scope="session")
def vocabulary():
    """Ids 0 to 22, in this order."""
    return Vocabulary(
        "[PAD] [UNK] [CLS] [SEP] [MASK] the a cat dog sat on mat ran fast slow ##s ##ed un ##aff ##able . , !".split()
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


# === Models with random weights, biases and LayerNorms too ===


@pytest.fixture(scope="session")
def small_config(vocabulary):
    return BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=32,
    )


@pytest.fixture(scope="session")
def random_tensors():
    """Gives tensors for bindings, far enough from fresh weights that every bias and scale matters."""

    def make(bindings, seed=0):
        rng = np.random.default_rng(seed)
        return {
            name: (rng.normal(0, 0.2, binding.shape) + name.endswith("LayerNorm.weight")).astype(np.float32)
            for name, binding in sorted(bindings.items())
        }

    return make


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory, vocabulary, small_config, random_tensors):
    """The folder of a pretraining model."""
    from kbert.models.encoder import BertEncoder
    from kbert.models.pretraining import PretrainingModel
    from kbert.models.tensor_names import pretraining_bindings

    folder = tmp_path_factory.mktemp("pretrained")
    tensors = random_tensors(pretraining_bindings(PretrainingModel(BertEncoder(small_config))))
    Bundle(small_config, Tokenizer(vocabulary), tensors, "BertForPreTraining", {"kind": "pretraining"}).save(
        folder, "# A card\n"
    )
    return folder


@pytest.fixture(scope="session")
def make_classifier(vocabulary, small_config, random_tensors):
    """Writes the folder of a classification model as `finetune` does."""
    from kbert.models.encoder import BertEncoder
    from kbert.tasks.classification import ClassificationTask

    def make(folder, *, paired=False, config=small_config, sequence_length=24):
        task = ClassificationTask(["bad", "fine", "good"], paired)
        tensors = random_tensors(task.bindings(task.build(BertEncoder(config))))
        settings = {"kind": "task", "task": task.settings(), "sequence_length": sequence_length}
        Bundle(config, Tokenizer(vocabulary), tensors, task.architecture, settings, task.foreign_config()).save(
            folder, "# A card\n"
        )
        return folder

    return make


@pytest.fixture(scope="session")
def classifier(tmp_path_factory, make_classifier):
    """The folder of a model that finds texts "bad", "fine" or "good"."""
    return make_classifier(tmp_path_factory.mktemp("classifier"))


@pytest.fixture(scope="session")
def pair_classifier(tmp_path_factory, make_classifier):
    """The same for pairs of texts."""
    return make_classifier(tmp_path_factory.mktemp("pair_classifier"), paired=True)


@pytest.fixture(scope="session")
def make_task_model(vocabulary, small_config, random_tensors):
    """Writes the folder of a model for any task as `finetune` does, or as `pretrain` does for filling masks."""
    from kbert.models.encoder import BertEncoder
    from kbert.tasks.protocol.trainable import TrainableTask

    def make(folder, task, *, sequence_length=24, config=small_config, tokenizer=None):
        tensors = random_tensors(task.bindings(task.build(BertEncoder(config, pooled=task.pooled))))
        learnt = isinstance(task, TrainableTask)
        settings = {"kind": "pretraining"}
        if learnt:
            settings = {"kind": "task", "task": task.settings(), "sequence_length": sequence_length}
        Bundle(
            config,
            tokenizer or Tokenizer(vocabulary),
            tensors,
            task.architecture,
            settings,
            task.foreign_config() if learnt else {},
        ).save(folder, "# A card\n")
        return folder

    return make


@pytest.fixture(scope="session")
def embedder(tmp_path_factory, make_task_model):
    """The folder of a model that gives vectors of texts."""
    from kbert.tasks.embedding import EmbeddingTask

    return make_task_model(tmp_path_factory.mktemp("embedder"), EmbeddingTask())


@pytest.fixture(scope="session")
def ranker(tmp_path_factory, make_task_model):
    """The folder of a model that ranks candidates."""
    from kbert.tasks.ranking import RankingTask

    return make_task_model(tmp_path_factory.mktemp("ranker"), RankingTask())


@pytest.fixture(scope="session")
def summarizer(tmp_path_factory, make_task_model):
    """The folder of a model that chooses two sentences of a document."""
    from kbert.tasks.summarization import SummarizationTask

    return make_task_model(tmp_path_factory.mktemp("summarizer"), SummarizationTask(2))


@pytest.fixture(scope="session")
def write_torch_file():
    """Writes float32 tensors as `torch.save` writes a state_dict, without PyTorch; see test_torch_files.py."""

    def text(value):
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    def tensor(key, array):
        numbers = [struct.pack("<ci", b"J", size) for size in array.shape]
        strides = [struct.pack("<ci", b"J", stride // 4) for stride in array.strides]
        storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu")
        storage += struct.pack("<ci", b"J", array.size) + b"tQ"
        shape = b"(" + b"".join(numbers) + b"t(" + b"".join(strides) + b"t"
        return (
            b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\0" + shape + b"\x89ccollections\nOrderedDict\n)RtR"
        )

    def write(path, tensors):
        arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in tensors.items()}
        entries = [text(name) + tensor(str(key), array) for key, (name, array) in enumerate(arrays.items())]
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("pytorch_model/data.pkl", b"\x80\x02}(" + b"".join(entries) + b"u.")
            for key, array in enumerate(arrays.values()):
                file.writestr(f"pytorch_model/data/{key}", array.tobytes())

    return write


# === Folders of other libraries ===


@pytest.fixture(scope="session")
def make_sentence_folder(vocabulary, small_config, random_tensors):
    """Writes the folder of an encoder as sentence-transformers keeps it.

    `modules` are the names behind the transformer, `pooling` is 1_Pooling/config.json, `transformer` is
    sentence_bert_config.json, `library` is config_sentence_transformers.json; `path` is where the transformer lies.
    """
    from kbert.models.encoder import BertEncoder
    from kbert.models.tensor_names import encoder_bindings

    def make(
        folder,
        *,
        pooling=None,
        modules=("Pooling", "Normalize"),
        transformer=None,
        library=None,
        path="",
        prefix="sentence_transformers.models.",
        tokenizer=None,
    ):
        tensors = random_tensors(encoder_bindings(BertEncoder(small_config, pooled=False)))
        bundle = Bundle(small_config, tokenizer or Tokenizer(vocabulary), tensors, "BertModel")
        bundle.save(folder / path, "# A card\n")
        (folder / path / "kbert.json").unlink()
        listed = [("Transformer", path), *((name, f"{place}_{name}") for place, name in enumerate(modules, start=1))]
        values = [
            {"idx": place, "name": str(place), "path": where, "type": prefix + name}
            for place, (name, where) in enumerate(listed)
        ]
        write_json(folder / "modules.json", values)
        for name, where in listed[1:]:
            if name == "Pooling":
                (folder / where).mkdir()
                write_json(
                    folder / where / "config.json",
                    {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True} if pooling is None else pooling,
                )
        if transformer is not None:
            write_json(folder / path / "sentence_bert_config.json", transformer)
        if library is not None:
            write_json(folder / "config_sentence_transformers.json", library)
        return folder

    return make


@pytest.fixture(scope="session")
def make_cross_encoder(make_task_model):
    """Writes the folder of a classifier with one logit, as other libraries do, with more keys of config.json."""
    from kbert.tasks.ranking import RankingTask

    def make(folder, **keys):
        make_task_model(folder, RankingTask(), sequence_length=32)
        (folder / "kbert.json").unlink()
        config = json.loads((folder / "config.json").read_text())
        del config["sentence_transformers"]
        write_json(folder / "config.json", config | {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}} | keys)
        return folder

    return make


def write_json(path, value):
    path.write_text(json.dumps(value), encoding="utf-8")
