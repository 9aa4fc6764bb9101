"""The baselines of benchmarks/tasks.py: TF-IDF with linear models, BM25, and the most frequent answer.

Each function takes a task_data.Prepared, and returns the metric of the table by the name of the baseline. Metrics are
computed here without kbert, as an independent check.
"""

from __future__ import annotations

import collections
import math
import re
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import MultiLabelBinarizer
from sklearn.svm import LinearSVC
from task_data import Prepared

_IDEOGRAPH = re.compile("[\u4e00-\u9fff]")
_TERM = re.compile("[\u4e00-\u9fff]|[^\\W_\u4e00-\u9fff]+")
_CMRC_PIECE = re.compile("[\u4e00-\u9fa5]|[^\\W\u4e00-\u9fa5]+(?:(?:\\.|,(?=\\d))[^\\W\u4e00-\u9fa5]+)*|[^\\w\\s]")
_CMRC_IGNORES = set("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_SENTENCE = re.compile("(?<=[.!?])\\s+|(?<=[。！？；])|\n+")


def classify(rows: Prepared) -> dict[str, float]:
    """Returns the accuracy of the most frequent class, and of logistic regression on `_features`."""
    truth, test = [target for _, target in rows.train_rows], [target for _, target in rows.test_rows]
    majority = collections.Counter(truth).most_common(1)[0][0]
    train, asked = _features(rows)
    model = LogisticRegression(C=10, max_iter=2000).fit(train, truth)
    return {"majority": test.count(majority) / len(test), "TF-IDF + linear": float(model.score(asked, test))}


def classify_several(rows: Prepared) -> dict[str, float]:
    """Returns the micro F1 of the most frequent label, and of one logistic regression per label with threshold 0.3."""
    labels = MultiLabelBinarizer().fit([target for _, target in rows.train_rows])
    truth, test = (labels.transform([target for _, target in part]) for part in (rows.train_rows, rows.test_rows))
    majority = np.zeros_like(test)
    majority[:, truth.sum(0).argmax()] = 1
    train, asked = _features(rows)
    model = OneVsRestClassifier(LogisticRegression(C=10, max_iter=2000)).fit(train, truth)
    given = model.predict_proba(asked) >= 0.3
    return {"majority": _micro(test, majority), "TF-IDF + linear": _micro(test, given)}


def _micro(truth: np.ndarray, given: np.ndarray) -> float:
    return float(f1_score(truth, given, average="micro", zero_division=0.0))


def regress(rows: Prepared) -> dict[str, float]:
    """Returns Spearman's correlation of the TF-IDF cosine, and of ridge regression on `_features`."""
    from scipy.stats import spearmanr

    train, asked = _features(rows)
    truth, test = ([float(target) for _, target in part] for part in (rows.train_rows, rows.test_rows))
    model = Ridge().fit(train, truth)
    return {
        "TF-IDF cosine": float(spearmanr(asked[:, 0], test).statistic),
        "TF-IDF + linear": float(spearmanr(model.predict(asked), test).statistic),
    }


def _features(rows: Prepared) -> tuple[Any, Any]:
    """Returns training and test features: TF-IDF for single texts; cosines and the length difference for pairs."""
    train, test = ([texts for texts, _ in part] for part in (rows.train_rows, rows.test_rows))
    if len(train[0]) == 1:
        weights = _weights([text for (text,) in train])
        return tuple(weights.transform([text for (text,) in part]) for part in (train, test))
    every = [text for texts in train for text in texts]
    kinds = [_weights(every), TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True).fit(every)]

    def features(pairs: Sequence[Sequence[str]]) -> np.ndarray:
        sides = [[[pair[side] for pair in pairs] for side in (0, 1)] for _ in kinds]
        cosines = [
            np.asarray(kind.transform(first).multiply(kind.transform(second)).sum(1)).ravel()
            for kind, (first, second) in zip(kinds, sides, strict=True)
        ]
        return np.stack([*cosines, [abs(math.log(len(a) / len(b))) for a, b in pairs]], 1)

    return features(train), features(test)


def _weights(texts: Sequence[str]) -> TfidfVectorizer:
    chinese = sum(bool(_IDEOGRAPH.search(text)) for text in texts) * 2 > len(texts)
    kind: dict[str, Any] = {"analyzer": "char", "ngram_range": (1, 3)}
    if not chinese:
        kind = {"ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"}
    return TfidfVectorizer(sublinear_tf=True, **kind).fit(texts)


def choose(rows: Prepared) -> dict[str, float]:
    """Returns the accuracy of the most frequent choice, and of logistic regression on the TF-IDF of endings."""
    places = [place for _, _, place in rows.train_rows]
    test = [place for _, _, place in rows.test_rows]
    endings = [ending for _, choices, _ in rows.train_rows for ending in choices]
    right = [number == place for _, choices, place in rows.train_rows for number in range(len(choices))]
    weights = _weights(endings)
    model = LogisticRegression(C=10, max_iter=2000).fit(weights.transform(endings), right)
    chosen = [int(model.decision_function(weights.transform(choices)).argmax()) for _, choices, _ in rows.test_rows]
    majority = collections.Counter(places).most_common(1)[0][0]
    hits = sum(one == other for one, other in zip(chosen, test, strict=True))
    return {"majority": test.count(majority) / len(test), "TF-IDF + linear": hits / len(test)}


def tag(rows: Prepared) -> dict[str, float]:
    """Returns the F1 of entities of a linear model of each token and its neighbours."""
    features = DictVectorizer()
    train = _narrow(features.fit_transform([token for words, _ in rows.train_rows for token in _neighbourhoods(words)]))
    model = LinearSVC(class_weight="balanced", tol=0.01).fit(
        train, [tag for _, tags in rows.train_rows for tag in tags]
    )
    right = wanted = found = 0
    for words, tags in rows.test_rows:
        truth = _entities(tags)
        given = _entities(model.predict(_narrow(features.transform(_neighbourhoods(words)))))
        right, wanted, found = right + len(truth & given), wanted + len(truth), found + len(given)
    return {"linear, words around": _f1(right, found, wanted)}


def _narrow(matrix: Any) -> Any:
    """Returns the matrix with int32 indices, which LinearSVC requires; DictVectorizer may create int64 indices."""
    matrix.indices, matrix.indptr = matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32)
    return matrix


def _neighbourhoods(words: Sequence[str]) -> list[dict[str, Any]]:
    tokens = []
    for place, word in enumerate(words):
        token: dict[str, Any] = {"end": word[-3:].lower(), "begin": word[:2].lower(), "title": word[:1].isupper()}
        token |= {"digit": any(c.isdigit() for c in word), "capitals": word.isupper(), "first": place == 0}
        for offset in (-2, -1, 0, 1, 2):
            there = 0 <= place + offset < len(words)
            token[f"word{offset}"] = words[place + offset].lower() if there else ""
            token[f"two{offset}"] = "".join(words[max(0, place + offset) : place + offset + 2]).lower()
        tokens.append(token)
    return tokens


def _entities(tags: Iterable[str]) -> set[tuple[int, int, str]]:
    """Returns entities as (start, end, type); an I- tag that continues no entity starts one, as in conlleval."""
    found, start, kind = set(), 0, ""
    for place, tag in enumerate([*tags, "O"]):
        if kind and tag != f"I-{kind}":
            found.add((start, place, kind))
            kind = ""
        if not kind and tag != "O":
            start, kind = place, tag[2:]
    return found


def answer(rows: Prepared) -> dict[str, float]:
    """Returns the F1 of the context's sentence that BM25 finds for the question, with the most similar true answer."""
    chinese = sum(bool(_IDEOGRAPH.search(question)) for question, _, _ in rows.test_rows) * 2 > len(rows.test_rows)
    measure = _characters_f1 if chinese else _words_f1
    total = 0.0
    for question, context, answers in rows.test_rows:
        sentences = [text.strip() for text in _SENTENCE.split(context) if text.strip()]
        scores = Bm25(sentences).scores(question)
        total += max(measure(true, sentences[int(scores.argmax())]) for true in answers)
    return {"BM25 sentence": total / len(rows.test_rows)}


def _words_f1(true: str, given: str) -> float:
    """Returns the F1 of words as in SQuAD's evaluation, which ignores case, punctuation and articles."""
    sides = []
    for text in (true, given):
        bare = "".join(c for c in text.lower() if c not in string.punctuation)
        sides.append(collections.Counter(word for word in bare.split() if word not in ("a", "an", "the")))
    return _f1((sides[0] & sides[1]).total(), sides[1].total(), sides[0].total())


def _characters_f1(true: str, given: str) -> float:
    """Returns the F1 as in CMRC's evaluation: of the longest common substring of ideographs and words."""
    bare = ("".join(c for c in text.lower() if c not in _CMRC_IGNORES) for text in (true, given))
    first, second = (_CMRC_PIECE.findall(text) for text in bare)
    longest, row = 0, [0] * (len(second) + 1)
    for item in first:
        row = [0, *(row[place] + 1 if item == other else 0 for place, other in enumerate(second))]
        longest = max(longest, *row)
    return _f1(longest, len(second), len(first))


def search(rows: Prepared) -> dict[str, float]:
    """Returns the nDCG@10 of BM25 over all documents."""
    names, texts = zip(*rows.extra["documents"].items(), strict=True)
    index = Bm25(texts)
    run: dict[str, list[str]] = {}
    for query in {query for query, _, _ in rows.test_rows}:
        order = np.argsort(-index.scores(rows.extra["queries"][query]), kind="stable")[:10]
        run[query] = [names[place] for place in order]
    return {"BM25": ndcg(run, rows.test_rows)}


def ndcg(run: Mapping[str, Sequence[str]], judged: Iterable[tuple[str, str, int]], cut: int = 10) -> float:
    """Returns the mean nDCG of queries, with linear gains and a discount of log2(rank + 1).

    Args:
        run: The ids of the found documents by query, best first.
        judged: The judgements: query, document and gain.
        cut: The number of results that count.
    """
    gains: dict[str, dict[str, int]] = {}
    for query, document, gain in judged:
        gains.setdefault(query, {})[document] = gain

    def discounted(values: Iterable[float]) -> float:
        return sum(value / math.log2(rank + 1) for rank, value in enumerate(values, start=1))

    return float(
        np.mean(
            [
                discounted(of.get(document, 0) for document in run[query][:cut])
                / discounted(sorted(of.values(), reverse=True)[:cut])
                for query, of in gains.items()
            ]
        )
    )


def respond(rows: Prepared) -> dict[str, float]:
    """Returns the recall@1 of BM25, which chooses the candidate with the highest score for the previous turns."""
    index = Bm25([response for _, response in rows.train_rows])
    hits = 0
    for turns, candidates, place in rows.test_rows:
        scores = Bm25(candidates, index.idf).scores(" ".join(turns))
        hits += int(scores.argmax()) == place and int((scores == scores.max()).sum()) == 1
    return {"BM25": hits / len(rows.test_rows)}


def summarize(rows: Prepared) -> dict[str, float]:
    """Returns the ROUGE-L of the first sentence, and of the sentence that a logistic regression chooses.

    The features of the regression are the TF-IDF and the position of a sentence.
    """
    from scipy.sparse import csr_matrix, hstack

    def features(sentences: Sequence[str]) -> Any:
        places = np.eye(12)[np.minimum(np.arange(len(sentences)), 10)]
        places[-1, 11] = 1
        return hstack([weights.transform(sentences), csr_matrix(places)]).tocsr()

    from scipy.sparse import vstack

    weights = _weights([sentence for sentences, _, _ in rows.train_rows for sentence in sentences])
    train = vstack([features(sentences) for sentences, _, _ in rows.train_rows])
    model = LogisticRegression(C=3, max_iter=2000).fit(train, [n for _, labels, _ in rows.train_rows for n in labels])
    first = chosen = 0.0
    for sentences, _, references in rows.test_rows:
        best = int(model.decision_function(features(sentences)).argmax())
        first += rouge_l(references, sentences[0])
        chosen += rouge_l(references, sentences[best])
    return {"first sentence": first / len(rows.test_rows), "TF-IDF + linear": chosen / len(rows.test_rows)}


def rouge_l(references: Sequence[str], summary: str) -> float:
    """Returns the F1 of the longest common subsequence with the most similar reference, in words of a-z and 0-9."""
    words = re.findall("[a-z0-9]+", summary.lower())
    best = 0.0
    for reference in references:
        wanted = re.findall("[a-z0-9]+", reference.lower())
        row = [0] * (len(words) + 1)
        for word in wanted:
            new = [0]
            for place, other in enumerate(words):
                new.append(row[place] + 1 if word == other else max(row[place + 1], new[-1]))
            row = new
        best = max(best, _f1(row[-1], len(words), len(wanted)))
    return best


class Bm25:
    """Okapi BM25 (k1 = 1.2, b = 0.75) with Lucene's idf; a term is a word or an ideograph.

    Args:
        texts: The texts that are searched.
        idf: A function from terms to their idf in other texts, if `texts` are too few; by default that of `texts`.
    """

    def __init__(self, texts: Sequence[str], idf: Callable[[str], float] | None = None) -> None:
        self._counts = [collections.Counter(_TERM.findall(text.lower())) for text in texts]
        self._in = collections.Counter(term for counts in self._counts for term in counts)
        lengths = np.array([counts.total() for counts in self._counts])
        self._norms = 1.2 * (0.25 + 0.75 * lengths / max(1.0, lengths.mean()))
        self._idf = idf or self.idf

    def idf(self, term: str) -> float:
        """Returns the inverse document frequency of a term."""
        return math.log(1 + (len(self._counts) - self._in[term] + 0.5) / (self._in[term] + 0.5))

    def scores(self, query: str) -> np.ndarray:
        """Returns the score of each text for a query, float64 [texts]."""
        total = np.zeros(len(self._counts))
        for term in _TERM.findall(query.lower()):
            if self._in[term]:
                counts = np.array([each[term] for each in self._counts])
                total += self._idf(term) * counts * 2.2 / (counts + self._norms)
        return total


def _f1(common: int, found: int, wanted: int) -> float:
    return 2 * common / (found + wanted) if common else 0.0
