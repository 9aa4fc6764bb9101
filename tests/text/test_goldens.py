"""12,045 real and difficult texts get the same ids as from the original BERT's tokenizers."""

import gzip
import json

import pytest
import tensorflow as tf

from kbert.text.tokenizer import Tokenizer


@pytest.mark.long
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


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bert-base-uncased", "bert-base-cased", "bert-base-chinese"])
def test_offsets_point_at_what_became_the_token(data, goldens, name):
    tokenizer = Tokenizer(data / "vocab" / f"{name}.txt", lowercase=name != "bert-base-cased")
    with gzip.open(goldens / f"tokenizer-{name}.jsonl.gz") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    graph = tokenizer.to_graph()
    wrong = []
    for begin in range(0, len(texts), 1024):
        part = texts[begin : begin + 1024]
        _, starts, ends = graph.with_offsets(tf.constant(part))
        for text, first, last in zip(part, starts.to_list(), ends.to_list(), strict=True):
            encoding = tokenizer.encode(text, add_special_tokens=False)
            pieces = [
                # σ and ς are one letter, and which it is depends on what stands around it.
                "".join(tokenizer.normalizer.words(text[start:end])).replace("ς", "σ")
                == token.removeprefix("##").replace("ς", "σ")
                # One character may become several pieces, each of which points at all of it.
                or (
                    end - start == 1
                    and token.removeprefix("##") in "".join(tokenizer.normalizer.words(text[start:end]))
                )
                or token == "[UNK]"
                for token, (start, end) in zip(encoding.tokens, encoding.offsets, strict=True)
            ]
            if not all(pieces) or encoding.offsets != list(zip(first, last, strict=True)):
                wrong.append(text)
    assert wrong == []
