"""Runs MediaPipe's text tasks in a process of its own: python FILE REQUEST ANSWER, both JSON.

A request has the `model`, a path; the `task`, "classifier" or "embedder"; and the `texts`. The answer has the `rows`:
for each text the scores as {label: score}, or the vector, without zeros at its end if the request says `trimmed`. It
has the `error` instead if the model does not open.
"""

import json
import sys

import numpy as np


def rows(request):
    from mediapipe.tasks.python import BaseOptions, text

    base = BaseOptions(model_asset_path=request["model"])
    if request["task"] == "classifier":
        with text.TextClassifier.create_from_options(text.TextClassifierOptions(base_options=base)) as program:
            results = [program.classify(each).classifications for each in request["texts"]]
        return [{entry.category_name: entry.score for entry in heads[0].categories} for heads in results]
    with text.TextEmbedder.create_from_options(text.TextEmbedderOptions(base_options=base)) as program:
        vectors = (program.embed(each).embeddings[0].embedding for each in request["texts"])
        return [(np.trim_zeros(each, "b") if request.get("trimmed") else each).tolist() for each in vectors]


def main(request_path, answer_path):
    with open(request_path, encoding="utf-8") as file:
        request = json.load(file)
    try:
        answer = {"rows": rows(request)}
    except (RuntimeError, ValueError) as problem:
        answer = {"error": str(problem)}
    with open(answer_path, "w", encoding="utf-8") as file:
        json.dump(answer, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
