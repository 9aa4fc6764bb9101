"""12,045 texts, real ones and hard ones, with the ids that the original BERT's tokenizers give them."""

import gzip
import json

import pytest
import tensorflow as tf

from kbert.text.tokenizer import Tokenizer


@pytest.mark.parametrize("name", ["bert-base-uncased", "bert-base-cased", "bert-base-chinese"])
def test_no_id_is_wrong(data, goldens, name):
    tokenizer = Tokenizer(data / "vocab" / f"{name}.txt", lowercase=name != "bert-base-cased")
    with gzip.open(goldens / f"tokenizer-{name}.jsonl.gz") as lines:
        rows = [json.loads(line) for line in lines]
    assert len(rows) > 10_000
    texts = [row["text"] for row in rows]
    graph = tokenizer.to_graph()
    in_graph = [
        ids for start in range(0, len(texts), 1024) for ids in graph(tf.constant(texts[start : start + 1024])).to_list()
    ]
    wrong = [
        row["text"]
        for row, graph_ids in zip(rows, in_graph, strict=True)
        if not row["ids"]
        == tokenizer.ids(row["text"])
        == tokenizer.encode(row["text"], add_special_tokens=False).ids
        == graph_ids
    ]
    assert wrong == []
