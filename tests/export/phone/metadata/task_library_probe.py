"""Runs the Task Library in a process of its own: python FILE REQUEST ANSWER, both JSON.

A request has the `model`, a path; and either `texts` to classify, or `questions`, pairs of a question and a context.
The answer has the `rows`: for each text the scores as {label: score}, or for each question the answers with their
logits, the best first. It has the `error` instead if the model does not open.
"""

import json
import sys


def rows(request):
    from tflite_support.task import core, text

    base = core.BaseOptions(file_name=request["model"])
    if "questions" in request:
        program = text.BertQuestionAnswerer.create_from_options(text.BertQuestionAnswererOptions(base_options=base))
        results = [program.answer(context, question).answers for question, context in request["questions"]]
        return [[[answer.text, answer.pos.logit] for answer in answers] for answers in results]
    program = text.BertNLClassifier.create_from_options(text.BertNLClassifierOptions(base_options=base))
    results = [program.classify(each).classifications[0].categories for each in request["texts"]]
    return [{entry.category_name: entry.score for entry in categories} for categories in results]


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
