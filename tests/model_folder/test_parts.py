from pathlib import Path

import pytest

import kbert
from kbert.config import BertConfig
from kbert.model_folder.parts import (
    BLOCK,
    BOTTLENECK,
    CRF,
    EMBEDDINGS,
    HEADS,
    PARTS,
    find_heads,
    has_pooler,
    part_tensors,
)


@pytest.fixture
def config():
    return BertConfig(
        vocab_size=10,
        hidden_size=4,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=6,
        max_position_embeddings=8,
    )


def test_names_and_shapes_of_parts(config):
    assert dict(part_tensors(("intermediate", "output_norm"), config, layer=2)) == {
        "bert.encoder.layer.2.intermediate.dense.weight": (6, 4),
        "bert.encoder.layer.2.intermediate.dense.bias": (6,),
        "bert.encoder.layer.2.output.LayerNorm.weight": (4,),
        "bert.encoder.layer.2.output.LayerNorm.bias": (4,),
    }
    assert dict(part_tensors(("classifier", "crf_transitions", "position_table"), config, classes=5)) == {
        "classifier.weight": (5, 4),
        "classifier.bias": (5,),
        "crf.transitions": (5, 5),
        "bert.embeddings.position_embeddings.weight": (8, 4),
    }


def test_every_part_belongs_to_one_group():
    heads = [part for parts in HEADS.values() for part in parts]
    assert sorted([*EMBEDDINGS, *BLOCK, *BOTTLENECK, "pooler", *heads, "mlm_decoder", *CRF]) == sorted(PARTS)


def test_heads_and_pooler_by_names():
    names = ["bert.pooler.dense.weight", "cls.predictions.decoder.weight", "qa_outputs.bias", "classifiers.bias"]
    assert find_heads(names) == {"cls.predictions", "qa_outputs"}
    assert has_pooler(names)
    assert not has_pooler(names[1:])


def test_names_of_tensors_stand_in_the_table_alone():
    folder = Path(kbert.__file__).parent
    names = {name for part in PARTS.values() for name in part.names() if "." in name}
    for path in folder.rglob("*.py"):
        if path != folder / "model_folder" / "parts.py":
            text = path.read_text(encoding="utf-8")
            assert [name for name in names if f'"{name}"' in text] == [], path
