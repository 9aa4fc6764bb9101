"""Cases for the logic of the apps for phones, with the answers that kbert gives.

The apps have the same logic in Kotlin and in Swift. A program of each app reads cases as lines of JSON, and answers
them.
"""

import json
import random
import subprocess

import numpy as np
import pytest
import tensorflow as tf

from kbert.layers.crf import TABLES, viterbi
from kbert.tasks.answers.context_spans import best_spans
from kbert.tasks.answers.spans import LETTERS, served_spans
from kbert.tasks.question_answering import QuestionAnsweringTask
from kbert.tasks.readers.tag_schemes import split_tag
from kbert.tasks.tagging import TaggingTask
from kbert.text.tokenizer import Tokenizer
from kbert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

TEXTS = (
    "",
    "An unaffable cat.",
    "a\u0000b \ud83d c\ude00",
    "  😀 (Ada) says: 你好, e\u0301te\u0301 = 3 < 4!\u2028\u00a0end\t",
    "한국어 café ẞ İstanbul a\u200db ;\u037e`",
    "don't-stop...now",
)
CHARACTERS = "ab cdé\u0301ñ\t\n\u00a0\u2003\u200b\u00ad.,!?-'“”、。你好㐀豈😀𠀀한ßΣσ＋$^`~1２"
TAGS = ("O", "B-PER", "I-PER", "E-PER", "S-PER", "B-LOC", "I-LOC", "M-X-Y", "MISC")


def utf_16_offsets(text):
    """The offset of each character, and the length of the text as the last one."""
    return np.cumsum([0, *(1 + (ord(character) > 0xFFFF) for character in text)]).tolist()


def generated_texts(count, seed=0):
    draw = random.Random(seed)
    return ["".join(draw.choices(CHARACTERS, k=draw.randrange(30))) for _ in range(count)]


@pytest.fixture(scope="session")
def phone_cases():
    """Pairs of a case and its answer, by the name of the function that is called."""
    groups = {
        "codePoints": code_point_cases(),
        "softmax": softmax_cases(),
        "topLabels": label_cases(),
        "words": word_cases(),
        "entities": entity_cases(),
        "bestSpans": span_cases(),
        "answer": answer_cases(),
        "nextWindow": window_cases(),
        "settings": settings_cases(),
    }
    return {name: [({"function": name, **case}, answer) for case, answer in cases] for name, cases in groups.items()}


@pytest.fixture(scope="session")
def answers_of():
    """A function that runs a program on all cases, and gives its answers by the name of the function."""

    def run(command, cases):
        flat = [(name, case) for name, group in cases.items() for case, _ in group]
        lines = "".join(json.dumps(case) + "\n" for _, case in flat)
        done = subprocess.run(command, input=lines, capture_output=True, text=True, encoding="utf-8", check=False)
        assert done.returncode == 0, done.stderr
        # `splitlines` would also split at the line separators of Unicode, which JSON need not escape.
        answers = [json.loads(line) for line in done.stdout.rstrip("\n").split("\n")]
        found = {name: [] for name in cases}
        for (name, _), answer in zip(flat, answers, strict=True):
            found[name].append(answer)
        return found

    return run


@pytest.fixture(scope="session")
def check_answers():
    """A function that compares answers with those of kbert: numbers up to rounding, everything else exactly."""

    def check(cases, answers):
        assert len(cases) >= 3
        for (case, expected), answer in zip(cases, answers, strict=True):
            assert parts(answer, str) == parts(expected, str), case
            np.testing.assert_allclose(parts(answer, float), parts(expected, float), atol=1e-5, err_msg=str(case))

    return check


def parts(value, kind):
    """The texts or the numbers of a value of JSON, in order; whether something is a list counts as text."""
    if isinstance(value, dict):
        return parts([list(pair) for pair in sorted(value.items())], kind)
    if isinstance(value, list):
        inner = [part for each in value for part in parts(each, kind)]
        return ["[", *inner, "]"] if kind is str else inner
    if isinstance(value, (str, bool)):
        return [str(value)] if kind is str else []
    return [float(value)] if kind is float else []


# === Texts and labels ===


def code_point_cases():
    draw = random.Random(1)
    for text in [*TEXTS, *generated_texts(40)]:
        values = [ord(c) if c != "\0" and not 0xD800 <= ord(c) <= 0xDFFF else 0xFFFD for c in text]
        for length in (1, 8, 64):
            begin = draw.randrange(len(text) + 1)
            padded = (values[begin : begin + length] + [0] * length)[:length]
            answer = {"padded": padded, "offsets": utf_16_offsets(text), "blank": not text[begin:].strip()}
            yield {"text": text, "length": length, "begin": begin}, answer


def softmax_cases():
    rng = np.random.default_rng(2)
    for logits in ([0.0], [1000.0, 1000.0, -1000.0], *(rng.normal(0, 5, size).tolist() for size in (2, 7, 77))):
        yield {"logits": logits}, tf.nn.softmax(tf.constant(logits)).numpy().tolist()


def label_cases():
    labels = ["bad", "good", "mixed", "你好"]
    yield {"labels": labels, "scores": [0.1, 0.4, 0.1, 0.4], "count": 3}, [["good", 0.4], ["你好", 0.4], ["bad", 0.1]]
    yield {"labels": labels[:2], "scores": [0.25, 0.75], "count": 5}, [["good", 0.75], ["bad", 0.25]]
    yield {"labels": labels, "scores": [0.0, 0.0, 0.0, 0.0], "count": 1}, [["bad", 0.0]]


# === Tagging ===


def words_of(tokenizer, text, length):
    """The places of tokens as a model returns them, and the words: first token, start and end."""
    encoding = tokenizer.encode(text, max_length=length)
    words = []
    for place, (token, (start, end)) in enumerate(zip(encoding.tokens, encoding.offsets, strict=True)):
        if encoding.special_tokens_mask[place]:
            continue
        if token.startswith("##") and words:
            words[-1][2] = max(words[-1][2], end)
        else:
            words.append([place, start, end])
    padding = [(0, 0)] * (length - len(encoding))
    starts, ends = zip(*encoding.offsets, *padding, strict=True)
    return {"text": text, "starts": starts, "ends": ends}, words


def whole_texts():
    """Texts that UTF-8 can represent."""
    return [text.encode("utf-8", "replace").decode() for text in [*TEXTS, *generated_texts(200, seed=3)]]


def tokenizers():
    """An uncased and a cased tokenizer that split words into many pieces."""
    for lowercase in (True, False):
        letters = [chr(code) for code in (*range(33, 127), *range(0x1100, 0x1200), 0xE9, 0xF1, 0xDF, 0x3C2, 0x3C3)]
        letters += [character for character in CHARACTERS if character.strip()]
        pieces = dict.fromkeys([*letters, *("##" + letter for letter in letters), "un", "##aff", "cat"])
        yield Tokenizer(Vocabulary([*SPECIAL_TOKENS, *pieces]), lowercase=lowercase)


def word_cases():
    for tokenizer in tokenizers():
        for text in whole_texts():
            yield words_of(tokenizer, text, 64)


def entity_cases():
    rng = np.random.default_rng(4)
    types = sorted({kind for _, kind in map(split_tag, TAGS) if kind})
    letter_of = np.array([LETTERS.index(split_tag(tag)[0]) for tag in TAGS])
    type_of = np.array([types.index(split_tag(tag)[1]) if split_tag(tag)[1] else -1 for tag in TAGS])
    tokenizer = next(tokenizers())
    for number, text in enumerate(whole_texts()):
        case, words = words_of(tokenizer, text, 48)
        probabilities = tf.nn.softmax(rng.normal(0, 2, (48, len(TAGS))).astype(np.float32)).numpy()
        chosen = probabilities[[word[0] for word in words]]
        tables = [rng.normal(0, 2, shape).astype(np.float32) for shape in (len(TAGS), len(TAGS), (len(TAGS),) * 2)]
        if words and number % 3 == 0:
            case["tables"] = dict(zip(("start", "end", "transitions"), map(np.ndarray.tolist, tables), strict=True))
            outputs = {name: table[None] for name, table in zip(TABLES, tables, strict=True)}
            tags = viterbi(np.log(chosen)[None], np.ones((1, len(words)), bool), outputs).numpy()[0]
        else:
            tags = chosen.argmax(-1)
        scores = chosen[np.arange(len(words)), tags]
        offsets = utf_16_offsets(text)
        per_word = number % 4 == 0
        if per_word:
            rows = [
                (TAGS[tag], start, end, score)
                for (_, start, end), tag, score in zip(words, tags, scores.tolist(), strict=True)
            ]
        else:
            encoded = {
                "word_rows": tf.zeros([len(words)], tf.int32),
                "word_starts": tf.constant([word[1] for word in words], tf.int32),
                "word_ends": tf.constant([word[2] for word in words], tf.int32),
            }
            letters, kinds = tf.constant(letter_of[tags], tf.int32), tf.constant(type_of[tags], tf.int32)
            served = served_spans(types, letters, kinds, tf.constant(scores), encoded, tf.constant([text]))
            columns = [served[name][0].numpy().tolist() for name in ("labels", "starts", "ends", "scores")]
            rows = [(label.decode(), *rest) for label, *rest in zip(*columns, strict=True)]
        answer = [[label, offsets[start], offsets[end], text[start:end], score] for label, start, end, score in rows]
        yield {**case, "probabilities": probabilities.tolist(), "labels": TAGS, "perWord": per_word}, answer


# === Question answering ===


def windows_of(rng, length=24):
    """Overlapping windows over one context, as an app has them and as kbert has them; and the length of the context."""
    question, step, size = int(rng.integers(1, 4)), 7, length - 8
    # Neighbouring tokens may have the same place, as the parts of a Hangul syllable have.
    places = np.cumsum(rng.integers(0, 3, 40)) + np.arange(40) // 2
    app, rows = [], []
    for first in range(0, 40 - size + step, step)[: int(rng.integers(1, 5))]:
        tokens = places[first : first + size]
        shift = int(tokens[0])
        starts, ends, inside = np.zeros((3, length), np.int32)
        starts[1 : 1 + question], ends[1 : 1 + question] = np.arange(question), np.arange(question) + 1
        context = slice(question + 2, question + 2 + len(tokens))
        starts[context], ends[context], inside[context] = tokens - shift, tokens - shift + 1, 1
        # Rounded logits are equal for many spans, whose order must be kbert's too.
        logits = np.round(rng.normal(0, 3, (2, length)) * 2).astype(np.float32) / 2
        named = {"startLogits": logits[0], "endLogits": logits[1], "starts": starts, "ends": ends}
        app.append({name: values.tolist() for name, values in named.items()} | {"begin": shift})
        rows.append((logits[0], logits[1], starts + shift * inside, ends + shift * inside, inside == 1))
    start_logits, end_logits, starts, ends, inside = (np.stack(column) for column in zip(*rows, strict=True))
    context = "😀bcdefghij" * (int(places[-1]) // 10 + 1)
    encoded = {
        "context": tf.constant([context]),
        "window_rows": tf.zeros([len(rows)], tf.int32),
        "in_context": tf.constant(inside),
        "token_starts": tf.constant(starts),
        "token_ends": tf.constant(ends),
    }
    outputs = {"start_logits": tf.constant(start_logits), "end_logits": tf.constant(end_logits)}
    return app, outputs, encoded, context


def span_cases():
    rng = np.random.default_rng(5)
    for _ in range(60):
        app, outputs, encoded, _ = windows_of(rng)
        longest, most = int(rng.integers(1, 9)), int(rng.integers(1, 8))
        columns = best_spans(outputs["start_logits"], outputs["end_logits"], encoded, longest=longest, most=most)
        logits, starts, ends = (column[0].numpy().tolist() for column in columns)
        answer = [list(row) for row in zip(starts, ends, logits, strict=True) if row[2] > -1e8]
        yield {"windows": app, "longest": longest, "most": most}, answer


def answer_cases():
    rng = np.random.default_rng(6)
    for number in range(60):
        app, outputs, encoded, context = windows_of(rng)
        task = QuestionAnsweringTask(impossible=number % 2 == 0, null_threshold=float(rng.normal(8, 4)), n_best=3)
        served = {name: value[0].numpy() for name, value in task.served_answers(outputs, encoded).items()}
        offsets = utf_16_offsets(context)
        answer = [
            served["answer"].decode(),
            offsets[int(served["start"])],
            offsets[int(served["end"])],
            float(served["score"]),
        ]
        yield {"windows": app, "context": context, "settings": settings_file(task)}, answer


def window_cases():
    text = "one two 😀 three four"
    starts, ends = [0, 0, 4, 8, 10, 13, 0], [0, 3, 7, 9, 13, 15, 0]
    yield {"text": text, "begin": 0, "length": 16, "starts": starts, "ends": ends}, [15]  # "ee" follows no space
    yield {"text": text, "begin": 0, "length": 16, "starts": starts[:4], "ends": ends[:4]}, [8]
    yield {"text": text, "begin": 8, "length": 16, "starts": [0, 0, 2, 8, 0], "ends": [0, 1, 7, 12, 0]}, [-1]
    yield {"text": text + "  ", "begin": 8, "length": 9, "starts": [0, 0, 2, 8], "ends": [0, 1, 7, 12]}, [-1]
    yield {"text": "\0" * 9 + "a", "begin": 0, "length": 4, "starts": [0, 0, 0], "ends": [0, 0, 0]}, [4]


def settings_file(task):
    return json.dumps({"kbert_version": "1", "kind": "task", "task": task.settings(), "sequence_length": 128})


def settings_cases():
    tagging = TaggingTask(["NOUN", "你好"], per_word=True)
    answering = QuestionAnsweringTask(impossible=True, null_threshold=1.5, max_answer_length=7, n_best=3)
    yield {"settings": settings_file(tagging)}, ["tagging", ["NOUN", "你好"], True, False, 0.0, 30, 5]
    yield {"settings": settings_file(answering)}, ["question-answering", [], False, True, 1.5, 7, 3]
    yield {"settings": settings_file(QuestionAnsweringTask())}, ["question-answering", [], False, False, 0.0, 30, 5]
