"""Metrics of rankings and summaries, compared with pytrec_eval and rouge-score on 1,000 random cases each."""

import numpy as np
import pytest

from kbert.tasks.metrics.ranking import run_metrics
from kbert.tasks.metrics.rouge import METRICS, rouge

pytestmark = pytest.mark.peers


def test_metrics_of_rankings_are_those_of_trec_eval(within):
    pytrec_eval = pytest.importorskip("pytrec_eval")
    rng = np.random.default_rng(0)
    names = {"mrr": "recip_rank", "ndcg@10": "ndcg_cut_10"} | {f"recall@{cut}": f"recall_{cut}" for cut in (1, 5, 10)}
    ours, theirs = [], []
    for _ in range(1000):
        documents = [f"d{number}" for number in range(int(rng.integers(1, 40)))]
        judged = {name: int(rng.integers(0, 4)) for name in documents if rng.random() < 0.3} | {"missing": 1}
        found = list(rng.permutation(documents)[: int(rng.integers(1, 40))])
        scores = {name: float(len(found) - place) for place, name in enumerate(found)}
        evaluator = pytrec_eval.RelevanceEvaluator({"q": judged}, {"recip_rank", "ndcg_cut.10", "recall.1,5,10"})
        wanted = evaluator.evaluate({"q": scores})["q"]
        metrics = run_metrics({"q": found}, {"q": judged})
        ours.append([metrics[name] for name in names])
        theirs.append([wanted[name] for name in names.values()])
    within("metrics of rankings, pytrec_eval", ours, theirs, bound=1e-9)


def test_rouge_is_that_of_rouge_score(within):
    rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer")
    scorer = rouge_scorer.RougeScorer(METRICS, use_stemmer=False)
    rng = np.random.default_rng(1)
    words = ["the", "The", "cat", "dogs", "3.5", "over-fit", "naïve", "don't", "—", "a", "ran,", "İt", "x_y", "mat."]
    ours, theirs = [], []
    for _ in range(1000):
        # Lines are sentences.
        texts = [" ".join(rng.choice([*words, "\n"], int(rng.integers(0, 30)))) for _ in range(4)]
        references, summary = texts[: int(rng.integers(1, 4))], texts[3]
        score = rouge(references, summary)
        wanted = scorer.score_multi(references, summary)
        ours.append([score[name] for name in METRICS])
        theirs.append([(wanted[name].precision, wanted[name].recall, wanted[name].fmeasure) for name in METRICS])
    within("ROUGE, rouge-score", ours, theirs, bound=1e-9)
