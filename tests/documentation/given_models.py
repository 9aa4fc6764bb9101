"""Tiny models with random weights, in the place of those that a reader of the pages has."""

import functools
import json
import tempfile
from pathlib import Path

import numpy as np

import kbert
from kbert.model_folder.architectures import ARCHITECTURES
from kbert.model_folder.bundle import Bundle
from kbert.text.tokenizer import Tokenizer
from kbert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

LETTERS = [chr(code) for code in range(33, 127) if not chr(code).isupper()] + list("小明去了北京语言模型")
WORDS = (
    "the a is it film story plot mess fine clever warm dull weak terrible ada left rome who new "
    "cafe au lait and croissant"
).split()
PIECES = [*WORDS, *LETTERS, *(f"##{each}" for each in LETTERS)]
TOKENS = [*SPECIAL_TOKENS, *(f"[unused{n}]" for n in range(8)), *dict.fromkeys(PIECES)]


def vocabulary(path):
    """Writes a vocabulary that can spell any English text."""
    Path(path).write_text("\n".join(TOKENS) + "\n", encoding="utf-8")


def tokenizer():
    return Tokenizer(Vocabulary(TOKENS), lowercase=True)


def config(layers=2):
    return kbert.BertConfig(
        vocab_size=len(TOKENS),
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=512,
    )


def random_tensors(shapes):
    rng = np.random.default_rng(0)
    return {
        name: (rng.normal(0, 0.05, shape) + name.endswith("LayerNorm.weight")).astype(np.float32)
        for name, shape in sorted(shapes.items())
    }


def pretrained(path, layers=2):
    """Writes the folder of a pretrained model of kbert."""
    tensors = random_tensors(dict(ARCHITECTURES["BertForPreTraining"].tensors(config(layers), 2)))
    Bundle(config(layers), tokenizer(), tensors, "BertForPreTraining", {"kind": "pretraining"}).save(path, "# A card\n")


def encoder(path):
    """Writes the folder of an encoder, as Transformers writes it."""
    tensors = random_tensors(dict(ARCHITECTURES["BertModel"].tensors(config(), 2)))
    Bundle(config(), tokenizer(), tensors, "BertModel").save(path, "# A card\n")
    (Path(path) / "kbert.json").unlink()


def embedding_model(path):
    """Writes the folder of an embedding model of sentence-transformers."""
    encoder(path)
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [
        {"idx": place, "name": str(place), "path": folder, "type": f"sentence_transformers.models.{kind}"}
        for place, (folder, kind) in enumerate(kinds.items())
    ]
    folder = Path(path)
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))


def task_model(module, name, *arguments, layers=2, foreign=False, **options):
    """Returns a function that writes the folder of a fine-tuned model.

    Args:
        module: The module of the task within kbert.tasks.
        name: The class of the task.
        arguments: Those of the class.
        layers: The number of blocks.
        foreign: Whether the folder is as Transformers writes it, without kbert's file.
        options: Those of the class.
    """

    def write(path):
        import importlib

        from kbert.models.encoder import BertEncoder

        task = getattr(importlib.import_module(f"kbert.tasks.{module}"), name)(*arguments, **options)
        bindings = task.bindings(task.build(BertEncoder(config(layers), pooled=task.pooled)))
        tensors = random_tensors({name: binding.shape for name, binding in bindings.items()})
        settings = {"kind": "task", "task": task.settings(), "sequence_length": 64}
        foreign_config = task.foreign_config()
        Bundle(config(layers), tokenizer(), tensors, task.architecture, settings, foreign_config).save(
            path, "# A card\n"
        )
        if foreign:
            (Path(path) / "kbert.json").unlink()

    return write


classifier = task_model("classification", "ClassificationTask", ["0", "1"])


def converted(to, layers=2):
    """Returns a function that writes a pretrained model in another format, such as that of Google."""

    def write(path):
        with tempfile.TemporaryDirectory() as folder:
            pretrained(Path(folder, "model"), layers)
            kbert.convert(Path(folder, "model"), path, to=to, gelu="tanh" if to == "keras-hub" else None)

    return write


def served(path):
    """Writes a SavedModel of a classifier."""
    with tempfile.TemporaryDirectory() as folder:
        classifier(Path(folder, "model"))
        kbert.export_saved_model(Path(folder, "model"), output=path)


def run_of_finetuning(path):
    """Writes the run of `kbert finetune classification` on the file train.csv beside it."""
    table = Path(path).with_name("train.csv")
    with tempfile.TemporaryDirectory() as folder:
        pretrained(Path(folder, "model"))
        kbert.finetune(
            "classification", model=Path(folder, "model"), train=table, validation=table, epochs=1, output=path
        )


@functools.cache
def backbone():
    """Returns a model of KerasHub."""
    import keras_hub

    return keras_hub.models.BertBackbone(
        vocabulary_size=len(TOKENS),
        num_layers=2,
        num_heads=2,
        hidden_dim=32,
        intermediate_dim=64,
        max_sequence_length=64,
    )
