"""The milliseconds of a generated answer: kbert with and without a cache, compared with transformers.

    python benchmarks/generation.py [--tokens 32] [--source 32] [--batches 1 8] [--rounds 20] [--json FILE]

All contestants have random weights of the shape of MiniLM (6 layers of width 384, 30,522 tokens), read the same tokens,
and write exactly --tokens tokens, since an earlier end is forbidden. transformers runs `generate` of BertLMHeadModel,
greedily and with its cache of keys and values; its decoder reads the source with a causal mask, which is the same work.
kbert without a cache computes the whole row for each token. The contestants take turns. The greedy answers of kbert
with and without a cache are compared first.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kbert.runtime.tensorflow import import_tensorflow

import_tensorflow()

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from kbert import features  # noqa: E402
from kbert.config import BertConfig  # noqa: E402
from kbert.models.encoder import BertEncoder  # noqa: E402
from kbert.models.prefix_language_model import PrefixLanguageModel  # noqa: E402
from kbert.tasks.decoding.beams import BeamSearch  # noqa: E402
from kbert.tasks.decoding.loop import decode  # noqa: E402
from kbert.tasks.decoding.settings import Decoding  # noqa: E402
from kbert.tasks.decoding.single import SingleAnswers  # noqa: E402
from kbert.tasks.decoding.token_rules import TokenRules  # noqa: E402
from kbert.text.vocabulary import Vocabulary  # noqa: E402

CONFIG = BertConfig(
    vocab_size=30522,
    hidden_size=384,
    num_hidden_layers=6,
    num_attention_heads=12,
    intermediate_size=1536,
    max_position_embeddings=512,
)


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", default=32, type=int, help="The number of tokens of an answer.")
    parser.add_argument("--source", default=32, type=int, help="The number of tokens of a source.")
    parser.add_argument("--batches", default=[1, 8], type=int, nargs="+", help="The numbers of texts.")
    parser.add_argument("--rounds", default=20, type=int)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    model = PrefixLanguageModel(BertEncoder(CONFIG, pooled=False))
    vocabulary = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map(str, range(5, CONFIG.vocab_size))])
    rows = []
    for batch in arguments.batches:
        ids = np.random.default_rng(0).integers(5, CONFIG.vocab_size, (batch, arguments.source)).astype(np.int32)
        ids[:, 0], ids[:, -1] = vocabulary.cls_id, vocabulary.sep_id
        contestants = {
            "kbert, greedy": with_cache(model, vocabulary, arguments.tokens, 1),
            "kbert, 4 beams": with_cache(model, vocabulary, arguments.tokens, 4),
            "kbert, greedy without a cache": without_cache(model, vocabulary, arguments.tokens),
        }
        contestants |= of_transformers(arguments.tokens, vocabulary)
        answers = {name: np.asarray(run(ids)) for name, run in contestants.items()}  # also warms up
        same = (answers["kbert, greedy"] == answers["kbert, greedy without a cache"]).mean()
        print(f"{batch} texts: {same:.1%} of the tokens with and without a cache are equal")
        seconds: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(arguments.rounds):
            for name, run in contestants.items():
                begin = time.perf_counter()
                run(ids)
                seconds[name].append(time.perf_counter() - begin)
        base = statistics.median(seconds["kbert, greedy"])
        for name, times in seconds.items():
            middle = statistics.median(times)
            rows.append({"texts": batch, "contestant": name, "ms": 1000 * middle, "times": middle / base})
    print(f"{arguments.tokens} tokens behind a source of {arguments.source}; median of {arguments.rounds} rounds")
    print(f"{'texts':>5}  {'contestant':32} {'ms':>8} {'times':>6}")
    for row in rows:
        print(f"{row['texts']:>5}  {row['contestant']:32} {row['ms']:8.1f} {row['times']:6.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


Run = Callable[[np.ndarray], Any]


def batch_of(ids: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the features of sources without padding."""
    return {
        features.INPUT_WORD_IDS.name: ids,
        features.INPUT_MASK.name: tf.ones_like(ids),
        features.INPUT_TYPE_IDS.name: tf.zeros_like(ids),
    }


def compiled(function: Callable[[tf.Tensor], tf.Tensor]) -> Run:
    """Returns the graph of a function of ids."""
    graph = tf.function(function, input_signature=[tf.TensorSpec([None, None], tf.int32)], autograph=False)
    return lambda ids: graph(tf.constant(ids)).numpy()


def with_cache(model: PrefixLanguageModel, vocabulary: Vocabulary, tokens: int, beams: int) -> Run:
    """Returns a function that writes answers token by token."""
    decoding = Decoding(max_target=tokens, min_target=tokens, beams=beams)

    def answer(ids: tf.Tensor) -> tf.Tensor:
        rules = TokenRules(model, vocabulary, decoding, tokens)
        strategy = BeamSearch(rules, decoding) if beams > 1 else SingleAnswers(rules, decoding)
        return decode(model, batch_of(ids), strategy, tokens).ids[:, 0, :tokens]

    return compiled(answer)


def without_cache(model: PrefixLanguageModel, vocabulary: Vocabulary, tokens: int) -> Run:
    """Returns a function that computes the whole row for each token."""
    forbidden = np.zeros(CONFIG.vocab_size, np.float32)
    forbidden[[vocabulary.ids[token] for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")]] = -1e9

    def answer(ids: tf.Tensor) -> tf.Tensor:
        source = tf.shape(ids)[1]

        def grow(row: tf.Tensor) -> tuple[tf.Tensor]:
            length = tf.shape(row)[1]
            batch = batch_of(row)
            batch[features.INPUT_TYPE_IDS.name] = tf.zeros_like(row) + tf.cast(tf.range(length) >= source, tf.int32)
            batch[features.MASKED_LM_POSITIONS.name] = tf.fill([tf.shape(row)[0], 1], length - 1)
            logits = model(batch)["mlm_logits"][:, 0] + forbidden
            return (tf.concat([row, tf.argmax(logits, -1, tf.int32)[:, None]], 1),)

        (row,) = tf.while_loop(
            lambda row: tf.shape(row)[1] < source + tokens,
            grow,
            (ids,),
            shape_invariants=(tf.TensorShape([None, None]),),
            parallel_iterations=1,
        )
        return row[:, source:]

    return compiled(answer)


def of_transformers(tokens: int, vocabulary: Vocabulary) -> dict[str, Run]:
    """Returns `generate` of transformers; {} if it is not installed."""
    try:
        import torch
        import transformers
    except ImportError:
        return {}
    config = transformers.BertConfig(**CONFIG.to_dict(), is_decoder=True)
    model = transformers.BertLMHeadModel(config).eval()
    settings = transformers.GenerationConfig(
        max_new_tokens=tokens,
        min_new_tokens=tokens,
        do_sample=False,
        use_cache=True,
        eos_token_id=vocabulary.sep_id,
        pad_token_id=vocabulary.pad_id,
    )

    def answer(ids: np.ndarray) -> Any:
        with torch.inference_mode():
            given = torch.tensor(ids, dtype=torch.long)
            return model.generate(given, attention_mask=torch.ones_like(given), generation_config=settings)[
                :, ids.shape[1] :
            ]

    return {"transformers, greedy": answer}


if __name__ == "__main__":
    main()
