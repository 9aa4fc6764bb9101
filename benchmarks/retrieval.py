"""Search with the vectors of a model in the Cranfield collection, compared with BM25 on the same documents and queries.

    python benchmarks/retrieval.py MODEL... --data DATA [--json FILE] [--pooling mean] [--prompt …] [--query-prompt …]

MODEL is the folder of a model that computes vectors, for example of sentence-transformers. `--rerank` names a
cross-encoder that reorders the results.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from task_baselines import Bm25

import kbert
from kbert.retrieval.search import MEASURED, measure_search
from kbert.sources.bad_rows import BadRows
from kbert.tasks.metrics.ranking import run_metrics
from kbert.tasks.readers.retrieval_collections import read_documents, read_judgements, read_queries

EMPTY = 2
"""The number of documents in the collection that have no text."""


def bm25(documents: Path, queries: Path, judgements: Path) -> dict[str, float]:
    """Returns the metrics of BM25 on the same documents and queries."""
    found = list(read_documents(documents, bad=BadRows(EMPTY)))
    asked, gains = read_queries(queries), read_judgements(judgements)
    judged = {query: of for query, of in gains.items() if query in asked and any(of.values())}
    index = Bm25([document.text for document in found])
    run = {}
    for query in judged:
        order = np.argsort(-index.scores(asked[query].text), kind="stable")[:MEASURED]
        run[query] = [found[place].id for place in order]
    return run_metrics(run, judged)


def main() -> None:
    """Measures the models, prints the table, and writes it with --json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rerank")
    for name in ("pooling", "prompt", "query-prompt"):
        parser.add_argument(f"--{name}")
    told = parser.parse_args()
    folder = told.data / "cranfield"
    documents, queries, judgements = folder / "cran.all.1400", folder / "cran.qry", folder / "cranqrel"
    rows = {"BM25": bm25(documents, queries, judgements)}
    use = {"pooling": told.pooling, "prompt": told.prompt, "query_prompt": told.query_prompt}
    for model in told.models:
        with tempfile.TemporaryDirectory() as place:
            output = Path(place) / "index"
            kbert.build_index(model, input=documents, output=output, skip_bad=EMPTY, **use)
            rows[str(model)] = measure_search(output, queries, judgements, rerank=told.rerank)
    for name, metrics in rows.items():
        print(f"{name:40}", "  ".join(f"{metric} {metrics[metric]:.4f}" for metric in ("ndcg@10", "recall@10", "mrr")))
    if told.json:
        told.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
