"""Predictions in the formats of other programs: CoNLL, and the JSON that the evaluation scripts of SQuAD read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from kbert.errors import UsageError
from kbert.tasks.readers.tagged_words import tags_of_words
from kbert.text.replacement_table import is_cjk

_WORD = re.compile(r"\S+")


def conll_lines(prediction: Mapping[str, Any]) -> list[str]:
    r"""Returns a prediction of a tagger as lines of CoNLL: a word and its tag in each line, then an empty line.

    If the input was a list of words, these are the words. Otherwise the words are those of the tokenizer if each has a
    tag of its own; for spans, the text is split at white space and around each CJK ideograph. The tags of spans are in
    IOB2.

    Args:
        prediction: A prediction of `Predictor.predict` with "text" and "spans", or with "words".

    Example:
        >>> conll_lines({"text": "Ada left", "spans": [{"start": 0, "end": 3, "label": "PER"}]})
        ['Ada\tB-PER', 'left\tO', '']

    Raises:
        UsageError: The prediction has neither spans nor words.
    """
    if not {"spans", "words"} & prediction.keys() or "text" not in prediction:
        raise UsageError("CoNLL is for models of tagging. Received: predictions without spans")
    if "spans" not in prediction:
        return [*(f"{word['text']}\t{word['tag']}" for word in prediction["words"]), ""]
    text = prediction["text"]
    places = [(word["start"], word["end"]) for word in prediction.get("words", ())] or _words(text)
    tags = tags_of_words(places, [(span["start"], span["end"], span["label"]) for span in prediction["spans"]])
    return [*(f"{text[start:end]}\t{tag}" for (start, end), tag in zip(places, tags, strict=True)), ""]


def squad_answers(predictions: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Returns the answers by the ids of their questions, as the evaluation scripts of SQuAD read them.

    A question without an answer has the value "".

    Args:
        predictions: The predictions of `Predictor.predict_file`, with "id" and "answer".

    Example:
        >>> squad_answers([{"id": "q1", "answer": "Ada"}])
        {'q1': 'Ada'}

    Raises:
        UsageError: A question has no id, two questions have the same id, or the predictions have no answers.
    """
    answers: dict[str, str] = {}
    for prediction in predictions:
        if "answer" not in prediction:
            raise UsageError(
                "SQuAD's format is for models of question answering. Received: predictions of another task"
            )
        name = str(prediction.get("id") or "")
        if not name or name in answers:
            what = f"the id {name!r} twice" if name else f"{prediction['question']!r:.60} without one"
            raise UsageError(f"expected questions with an id of their own, as in SQuAD's files. Received: {what}")
        answers[name] = prediction["answer"]
    return answers


def _words(text: str) -> list[tuple[int, int]]:
    places = []
    for match in _WORD.finditer(text):
        start = match.start()
        for place in range(match.start(), match.end()):
            if is_cjk(ord(text[place])):
                if start < place:
                    places.append((start, place))
                places.append((place, place + 1))
                start = place + 1
        if start < match.end():
            places.append((start, match.end()))
    return places
