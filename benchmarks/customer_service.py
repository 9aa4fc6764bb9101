"""What feedback is worth for apps/customer_service: banking77, and customers who ask and judge.

    python benchmarks/customer_service.py --model FOLDER --data BANKING77 --epochs 3

The list of FAQs has five phrasings of each answer from train.csv. Other questions of the file are asked: a right answer
gets a thumb up; for a wrong one, the customer chooses the right FAQ. The feedback is exported as the app does it. The
questions of test.csv are measured before the feedback, with the phrasings in faqs.csv, and with a model that is
fine-tuned with embedding.csv.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

import kbert

sys.path.insert(0, str(Path(__file__).parent.parent))

from apps.customer_service.assembly import Models, make_assistant
from apps.customer_service.dialogue import ANSWER, Assistant, Reply
from apps.customer_service.evaluation import asked_of, evaluate_questions
from apps.customer_service.faqs import Columns, Faq, Row, group_faqs, read_faqs, read_rows
from apps.customer_service.store import Store
from apps.customer_service.training_files import feedback_of, write_training_files

COLUMNS = Columns(question="text", answer="category", category="category")
SEED = 0


def main() -> None:
    """Runs the benchmark, and prints a line of JSON for each list of FAQs and model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="the folder of an embedding model")
    parser.add_argument("--data", required=True, type=Path, help="the folder of banking77: train.csv, test.csv")
    parser.add_argument("--phrasings", type=int, default=5, help="the phrasings of each answer (default: %(default)s)")
    parser.add_argument("--asked", type=int, default=1000, help="the number of questions (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=0, help="also fine-tune for so many epochs (default: no)")
    options = parser.parse_args()
    kbert.prepare_runtime(quiet=True)

    rows = read_rows(options.data / "train.csv", COLUMNS)
    test = read_rows(options.data / "test.csv", COLUMNS)
    random.Random(SEED).shuffle(rows)
    first, others = split(rows, options.phrasings)
    faqs = group_faqs(first)
    assistant = make_assistant(faqs, Models(options.model))
    show("before", assistant, faqs, test)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "store.sqlite")
        for row in others[: options.asked]:
            ask(assistant, store, row, faqs)
        files = Path(folder) / "feedback"
        write_training_files(files, feedback_of(store.judged(), faqs), faqs)
        store.close()
        more = read_faqs(files / "faqs.csv")
        show("faqs.csv", make_assistant(more, Models(options.model)), more, test)
        if options.epochs:
            tuned = Path(folder) / "tuned"
            kbert.finetune(
                "embedding",
                model=options.model,
                train=files / "embedding.csv",
                validation_split=0.1,
                epochs=options.epochs,
                output=tuned,
            )
            show("faqs.csv and embedding.csv", make_assistant(more, Models(tuned)), more, test)


def split(rows: list[Row], phrasings: int) -> tuple[list[Row], list[Row]]:
    """Returns so many rows of each answer, and the others."""
    first: list[Row] = []
    others: list[Row] = []
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.answer] = counts.get(row.answer, 0) + 1
        (first if counts[row.answer] <= phrasings else others).append(row)
    return first, others


def ask(assistant: Assistant, store: Store, row: Row, faqs: list[Faq]) -> None:
    """Asks a question, and judges the answer."""
    (found,) = assistant.understand([(row.question, ())])
    best = found.candidates[0].faq
    conversation = store.start()
    reply = Reply(ANSWER, best.answer, "en", faq=best, confidence=found.confidence, understood=found.text)
    number = store.add(conversation, row.question, reply)
    if best.answer == row.answer:
        store.judge(conversation, number, helpful=True)
    else:
        right = next(faq for faq in faqs if faq.answer == row.answer)
        store.judge(conversation, number, helpful=False, right_faq=right.id)


def show(name: str, assistant: Assistant, faqs: list[Faq], test: list[Row]) -> None:
    """Prints the measures of the test questions."""
    found = evaluate_questions(assistant, asked_of(test, faqs, "test.csv"))
    phrasings = sum(len(faq.questions) for faq in faqs)
    print(json.dumps({"with": name, "phrasings": phrasings, **found}), flush=True)


if __name__ == "__main__":
    main()
