import numpy as np
import pytest
import tensorflow as tf

from kbert.models.encoder import BertEncoder
from kbert.models.prefix_language_model import PrefixLanguageModel
from kbert.models.tensor_names import assign_tensors, masked_language_model_bindings
from kbert.tasks.decoding.loop import decode
from kbert.tasks.decoding.token_rules import TokenRules

END = 3
NO_TEXT = [0, 1, 2, 4]


class Writer:
    """A tiny model with random weights, with its answers one by one and without a cache."""

    def __init__(self, model, vocabulary):
        self.model = model
        self.vocabulary = vocabulary
        names = ("input_word_ids", "input_mask", "input_type_ids", "masked_lm_positions")
        spec = {name: tf.TensorSpec([None, None], tf.int32) for name in names}
        self._greedy = {}
        self._whole_rows = tf.function(
            lambda batch: model(batch)["mlm_logits"], input_signature=[spec], autograph=False
        )

    def features(self, sources):
        """The features of sources, which are lists of ids without [CLS] and [SEP]."""
        rows = [[2, *source, END] for source in sources]
        width = max(map(len, rows))
        ids = np.int32([row + [0] * (width - len(row)) for row in rows])
        return {"input_word_ids": ids, "input_mask": np.int32(ids > 0), "input_type_ids": ids * 0}

    def decode(self, sources, decoding, longest, make):
        """The answers, in a graph for all sizes; `make` makes the strategy of the rules, the settings and features."""

        def graph(features):
            rules = TokenRules(self.model, self.vocabulary, decoding, longest)
            return decode(self.model, features, make(rules, decoding, features), longest)

        spec = {name: tf.TensorSpec([None, None], tf.int32) for name in self.features([[5]])}
        answers = tf.function(graph, input_signature=[spec], autograph=False)(self.features(sources))
        ids, lengths, scores = (each.numpy() for each in answers)
        texts = [
            [row[:count].tolist() for row, count in zip(*rows, strict=True)] for rows in zip(ids, lengths, strict=True)
        ]
        return texts, scores

    def log_probabilities(self, source, answer):
        """The log probabilities of each token of an answer and of the token behind it, from a whole row, [n + 1, V]."""
        row = np.int32([[2, *source, END, *answer]])
        start = len(source) + 1
        batch = {
            "input_word_ids": row,
            "input_mask": row * 0 + 1,
            "input_type_ids": np.int32(np.arange(row.shape[1]) > start)[None],
            "masked_lm_positions": np.int32([range(start, row.shape[1])]),
        }
        logits = np.asarray(self._whole_rows(batch), np.float64)[0]
        logits[:, NO_TEXT] = -np.inf
        return logits - np.log(np.exp(logits).sum(-1, keepdims=True))

    def score(self, source, answer, longest, exponent):
        """The score of an answer and its end."""
        each = self.log_probabilities(source, answer)
        total = sum(each[place, token] for place, token in enumerate(answer))
        total += each[-1, END] if len(answer) < longest else 0.0
        return total / ((5 + len(answer) + 1) / 6) ** exponent

    def greedy(self, source, longest):
        """The greedy answer, of which every token is computed from the whole row."""
        known = self._greedy.get((*source, longest))
        if known is not None:
            return known
        answer = []
        while len(answer) < longest:
            token = int(self.log_probabilities(source, answer)[-1].argmax())
            if token == END:
                break
            answer.append(token)
        self._greedy[(*source, longest)] = answer
        return answer


@pytest.fixture(scope="session")
def writer(vocabulary, small_config, random_tensors):
    model = PrefixLanguageModel(BertEncoder(small_config, pooled=False, skip_padding=True))
    bindings = masked_language_model_bindings(model)
    assign_tensors(bindings, random_tensors(bindings, 3))
    return Writer(model, vocabulary)


@pytest.fixture(scope="session")
def sources():
    rng = np.random.default_rng(1)
    return [rng.integers(5, 23, size).tolist() for size in (1, 7, 2, 12, 4, 4, 9, 3, 5, 6, 1, 8)]
