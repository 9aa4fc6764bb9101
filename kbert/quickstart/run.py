"""The way from raw text to a served model, through the public functions of kbert."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import os
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import kbert
from kbert import files
from kbert.errors import KbertError
from kbert.model_folder.hub import resolve
from kbert.options import with_options
from kbert.quickstart.documentation import Docstring, read_documentation
from kbert.quickstart.options import QuickstartOptions
from kbert.quickstart.report import (
    CONTESTANTS,
    FINETUNED,
    FROM_SCRATCH,
    PRETRAINED,
    REPORT,
    write_quickstart_report,
)

VOCABULARY_SIZE = 8_000
SEQUENCE_LENGTH = 64
PRETRAINING_STEPS = 1_500
PRETRAINING_RATE = 1e-3
FINETUNING_RATE = 3e-4
FINETUNING_EPOCHS = 10
INITIALIZER_RANGE = 0.05
"""The initializer range of both models, the pretrained one and the other."""
MOST_PER_LIBRARY = 1_200
"""The most docstrings of each library that become examples; TensorFlow has ten times as many as NumPy."""
MOST_TRAINING_EXAMPLES = 800
"""Few labels, as in practice, where pretraining makes up for them."""
SHORTEST_SUMMARY = 30
MODEL_NAME = "docstrings"
QUESTION = "Returns a tensor with the gradients of the loss, computed in graph mode."
VOCABULARY, SAVED_MODELS = "vocab.txt", "saved_models"
"""Names in the folder of the quickstart, beside those of kbert.quickstart.report."""

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Split:
    """The examples of one part of the data."""

    name: str
    rows: list[tuple[str, str]]
    """(text, library)."""

    def write(self, folder: Path) -> Path:
        """Writes them as a CSV file with a header."""
        path = folder / f"{self.name}.csv"
        with (
            files.atomic_path(path) as temporary,
            open(temporary, "w", encoding="utf-8", newline="") as handle,
        ):
            writer = csv.writer(handle)
            writer.writerow(("text", "label"))
            writer.writerows(self.rows)
        return path


@with_options(QuickstartOptions)
def quickstart(*, options: QuickstartOptions, say: Say = lambda message: None) -> dict[str, Any]:
    """Trains, evaluates, exports and serves a BERT on the documentation of installed packages.

    The task is to tell from the first paragraph of a docstring which library it comes from. Without `weights`, a tiny
    BERT is pretrained on the documentation first, and the same model without pretraining is measured beside it. TF-IDF
    with logistic regression, and the most frequent library, are always measured.

    Args:
        options: All of these options in one object.
        say: Called with each message about the progress.

    Returns:
        The results: losses, accuracies, and the paths of all files.

    Raises:
        UsageError: `output` is not empty.
        KbertError: `weights` is not a model folder.
    """
    if options.weights is not None:
        kbert.Bundle.load(resolve(options.weights))  # a wrong folder ends the command here, not minutes later
    folder = files.check_new_folder(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()

    say("Reading the documentation of Python, NumPy, Keras and TensorFlow ...")
    docstrings = read_documentation(os.cpu_count() or 1)
    splits = make_splits(docstrings)
    for split in splits:
        split.write(folder / "data")
    say(
        f"  {len(docstrings):,} docstrings; "
        + ", ".join(f"{len(split.rows):,} {split.name} examples" for split in splits)
        + " (labels are kept few on purpose: that is when pretraining counts)"
    )
    results: dict[str, Any] = {}
    if options.weights is None:
        losses = _pretrain(folder, docstrings, say)
        results |= {"mlm_loss_start": losses["first"]["mlm_loss"], "mlm_loss_end": losses["last"]["mlm_loss"]}
    accuracies = _finetune(folder, options.weights, say) | _baselines(splits[0], splits[2])
    _tell_accuracies(accuracies, say)
    results |= accuracies

    say("Exporting a SavedModel and a LiteRT model, and serving the former ...")
    saved_model = kbert.export_saved_model(folder / FINETUNED, output=folder / SAVED_MODELS / MODEL_NAME)
    tflite = kbert.export_litert(folder / FINETUNED, output=folder / f"{MODEL_NAME}.tflite")
    reply = _ask(folder / SAVED_MODELS, QUESTION)
    say(f"  asked: {QUESTION}\n  answer: {json.dumps(reply)}")
    results |= {
        "saved_model": str(saved_model),
        "tflite": str(tflite),
        "served_question": QUESTION,
        "served_reply": reply,
        "seconds": round(time.monotonic() - began, 1),
    }
    for path in (folder / "results.json", *([Path(options.results)] if options.results else [])):
        files.write_json(path, results)
    write_quickstart_report(folder / REPORT, accuracies, splits[2].rows)
    _tell_next_steps(folder, results["seconds"], pretrained=options.weights is None, say=say)
    return results


def _pretrain(folder: Path, docstrings: Sequence[Docstring], say: Say) -> dict[str, Any]:
    """Pretrains a tiny BERT on the documentation, and returns the first and the last row of its metrics."""
    text = folder / "data" / "documentation.txt"
    _write_corpus(docstrings, text)
    say(f"Training a vocabulary of {VOCABULARY_SIZE:,} pieces on {text.stat().st_size / 1e6:.1f} MB of text ...")
    vocabulary = folder / VOCABULARY
    kbert.train_vocabulary([text], size=VOCABULARY_SIZE).save(vocabulary)
    say("Building pretraining examples ...")
    corpus = folder / "corpus"
    kbert.build_corpus(
        [text], vocab=vocabulary, output=corpus, sequence_length=SEQUENCE_LENGTH, workers=os.cpu_count() or 1
    )
    say("Pretraining a tiny BERT: masked language model and next sentence prediction ...")
    losses = kbert.pretrain(
        corpus=corpus,
        model="tiny",
        output=folder / PRETRAINED,
        steps=PRETRAINING_STEPS,
        learning_rate=PRETRAINING_RATE,
        bias_correction=True,
        initializer_range=INITIALIZER_RANGE,
    )
    say(f"  masked language model loss {losses['first']['mlm_loss']:.2f} -> {losses['last']['mlm_loss']:.2f}")
    return losses


def _finetune(folder: Path, weights: str | files.PathLike | None, say: Say) -> dict[str, float]:
    """Fine-tunes the model, and without `weights` also the same model without pretraining; returns test accuracies."""
    tiny = {"epochs": FINETUNING_EPOCHS, "learning_rate": FINETUNING_RATE, "bias_correction": False}
    runs: dict[str, tuple[str, dict[str, Any]]]
    if weights is not None:
        say(f"Fine-tuning {weights} to tell libraries apart ...")
        runs = {"accuracy": (FINETUNED, {"model": weights})}
    else:
        say("Fine-tuning it to tell libraries apart, then the same model without pretraining ...")
        fresh = {"model": "tiny", "vocab": folder / VOCABULARY, "initializer_range": INITIALIZER_RANGE}
        runs = {
            "accuracy": (FINETUNED, {"model": folder / PRETRAINED, **tiny}),
            "accuracy_without_pretraining": (FROM_SCRATCH, {**fresh, **tiny}),
        }
    accuracies = {}
    for name, (run, settings) in runs.items():
        kbert.finetune(
            "classification",
            train=folder / "data" / "train.csv",
            validation=folder / "data" / "validation.csv",
            output=folder / run,
            sequence_length=SEQUENCE_LENGTH,
            **settings,
        )
        accuracies[name] = kbert.load(folder / run).evaluate(folder / "data" / "test.csv")["accuracy"]
    return accuracies


def make_splits(docstrings: Sequence[Docstring]) -> tuple[Split, Split, Split]:
    """Returns training, validation and test examples: whole modules go to one side, and each text appears once.

    The side of a module, and the docstrings that are kept, depend on hashes of their names and texts alone.
    """
    by_library: dict[str, dict[str, Docstring]] = defaultdict(dict)
    texts: Counter[str] = Counter()
    for docstring in docstrings:
        summary = docstring.text.partition("\n")[0]
        texts[summary] += 1
        if len(summary) >= SHORTEST_SUMMARY:
            by_library[docstring.library][summary] = docstring
    splits = Split("train", []), Split("validation", []), Split("test", [])
    for library, summaries in by_library.items():
        once = [summary for summary in summaries if texts[summary] == 1]
        for summary in sorted(once, key=_hash)[:MOST_PER_LIBRARY]:
            splits[side(summaries[summary])].rows.append((summary, library))
    for split in splits:
        split.rows.sort(key=lambda row: _hash(row[0]))
    del splits[0].rows[MOST_TRAINING_EXAMPLES:]
    return splits


def side(docstring: Docstring) -> int:
    """Returns 0, 1 or 2: whether a docstring's module is for training (70 %), validation (10 %) or test (20 %)."""
    place = _hash(f"{docstring.library}/{docstring.module}") % 10
    return 0 if place < 7 else 1 if place < 8 else 2


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "replace")).digest()[:8], "big")


def _write_corpus(docstrings: Sequence[Docstring], path: Path) -> None:
    """Writes docstrings as documents, a paragraph a line; those of test modules are left out."""
    with files.atomic_file(path) as handle:
        for docstring in docstrings:
            if side(docstring) != 2:
                handle.write(f"{docstring.text}\n\n".encode("utf-8", "replace"))


def _baselines(train: Split, test: Split) -> dict[str, float]:
    """Measures TF-IDF with logistic regression, and the most frequent library, on the same rows."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts, labels = zip(*train.rows, strict=True)
    test_texts, test_labels = zip(*test.rows, strict=True)
    pipeline = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10.0, max_iter=1000)
    )
    pipeline.fit(texts, labels)
    majority = Counter(labels).most_common(1)[0][0]
    return {
        "accuracy_tfidf": float(pipeline.score(test_texts, test_labels)),
        "majority_accuracy": test_labels.count(majority) / len(test_labels),
    }


def _tell_accuracies(accuracies: dict[str, float], say: Say) -> None:
    say("  accuracy on modules that no model has seen:")
    for name, value in accuracies.items():
        say(f"    {value:.3f}  {CONTESTANTS[name]}")
    best = max(accuracies, key=accuracies.__getitem__)
    if best != "accuracy":
        say(
            f"  Here {CONTESTANTS[best]} wins: minutes of training on two cores are little; hours on more text turn it."
        )


def _ask(saved_models: Path, question: str) -> Any:
    """Serves the models on a free loopback port and asks about one text."""
    from kbert.serving.server import running_server

    with running_server(saved_models) as server:
        request = urllib.request.Request(
            f"{server.url}/v1/models/{MODEL_NAME}:predict",
            data=json.dumps({"instances": [question]}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
    if "predictions" not in answer:
        raise KbertError(f"expected predictions of the server. Received: {answer}")
    return answer["predictions"][0]


def _tell_next_steps(folder: Path, seconds: float, *, pretrained: bool, say: Say) -> None:
    own = folder / PRETRAINED if pretrained else "MODEL"
    first = f"\n  {folder / PRETRAINED}   the pretrained model" if pretrained else ""
    say(f"""
Done in {seconds:.0f} s. Everything is in {folder}:
  {folder / REPORT}   the results on a page, for a browser{first}
  {folder / FINETUNED}   the classifier (opens in Hugging Face Transformers too)
  {folder / SAVED_MODELS}   for TensorFlow Serving, or `kbert serve`
  {folder / MODEL_NAME}.tflite   for phones
Next:
  kbert predict {folder / FINETUNED} "Return the sorted list of file names in a folder."
  kbert serve {folder / SAVED_MODELS} --rest-port 8501   then open http://localhost:8501/ to try the model
  tensorboard --logdir {folder}
With your own data:
  kbert vocab train your-text/ --size 30522 --output vocab.txt
  kbert corpus build your-text/ --vocab vocab.txt --output corpus
  kbert pretrain --corpus corpus --model small --steps 100000 --output pretrained
  kbert finetune classification --model {own} --train train.csv --validation dev.csv --output classifier""")
