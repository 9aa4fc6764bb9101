"""What a reader of each page has before the first block: files by their names on the page, and names in Python.

A new page whose blocks need files that it does not make itself gets an entry here.
"""

import functools

import numpy as np
from documentation import given_files as files
from documentation import given_models as models

HUB = "hf://"
"""The beginning of names of models of the Hugging Face Hub; tests find them in the cache of the hub."""
BERT = {f"{HUB}google-bert/bert-base-uncased": models.pretrained}
MINILM = {f"{HUB}sentence-transformers/all-MiniLM-L6-v2": models.embedding_model}


def films(*names, **columns):
    """Returns tables of texts with labels."""
    return {name: files.films(**columns) for name in names}


def titles(*names):
    return {name: files.table(("abstract", "title"), files.TITLES) for name in names}


GIVEN = {
    "README.md": BERT | films("train.csv", "dev.csv", "test.csv"),
    "docs/index.md": BERT | films("train.csv", "dev.csv", "test.csv"),
    "docs/weights.md": BERT | films("train.csv"),
    "docs/command-line.md": {
        "wiki": files.folder_of_text("a.txt.gz"),
        **films("train.tsv", "dev.tsv", text_column="sentence"),
        **BERT,
        "uncased_L-2_H-128_A-2": models.converted("google"),
    },
    "docs/python.md": BERT | films("train.csv", "dev.csv") | {"vocab.txt": models.vocabulary, "corpus": files.corpus},
    "docs/models.md": {
        **BERT,
        "uncased_L-2_H-128_A-2": models.converted("google"),
        "all-MiniLM-L6-v2": models.embedding_model,
        "multilingual-e5-small": models.encoder,
        "folder-of-transformers": models.task_model("classification", "ClassificationTask", ["0", "1"], foreign=True),
        "stsb-dev.tsv": files.table(("sentence1", "sentence2", "score"), files.SCORED),
        "docs.jsonl": files.lines_of_json(*files.DOCUMENTS_OF_SEARCH),
        **files.CRANFIELD,
        "wiki.txt": files.text(files.DOCUMENTS),
        "vocab.txt": models.vocabulary,
    },
    "docs/corpus.md": {
        "wiki": files.folder_of_text(),
        "model-to-go-on-from": models.pretrained,
        "text.txt": files.text(files.DOCUMENTS),
        "other.txt": models.vocabulary,
    },
    "docs/pretraining.md": {
        "wiki": files.folder_of_text(),
        "held-out": files.folder_of_text(),
        "wiki.txt": files.text(files.DOCUMENTS),
        **films("train.csv", "dev.csv"),
    },
    "docs/tasks.md": {
        **BERT,
        **dict.fromkeys(
            ("tickets.csv", "tickets-test.csv"), files.table(("ID", "Subject", "Message", "Team"), files.TICKETS)
        ),
        "MODEL": models.pretrained,
        **films("train.csv", "dev.csv", "test.csv"),
        "pretrained": functools.partial(models.pretrained, layers=4),
        "sst2.tsv": files.films("sentence"),
        "sst2-dev.tsv": files.films("sentence"),
        "phrases.txt": files.table(None, files.FILMS, "@"),
        "movies.csv": files.table(
            ("title", "genres"),
            [(f"{text} (1995)", "Comedy|Drama"[: 6 + 6 * int(label)]) for text, label in files.FILMS],
        ),
        "stsb.tsv": files.table(("sentence1", "sentence2", "score"), files.SCORED),
        "codah.tsv": files.table(None, files.CHOICES),
        "wnut17.conll": files.text(files.CONLL),
        "wnut17-dev.conll": files.text(files.CONLL),
        "en_ewt-ud-train.conllu": files.text(files.CONLLU),
        "en_ewt-ud-dev.conllu": files.text(files.CONLLU),
        "en_ewt-ud-test.conllu": files.text(files.CONLLU),
        "squad.json": files.text(files.SQUAD),
        "squad-dev.json": files.text(files.SQUAD),
        "faq.csv": files.table(("question", "answer"), files.PAIRS),
        "documents.jsonl": files.lines_of_json(*files.DOCUMENTS_OF_SEARCH),
        "dialogues.jsonl": files.lines_of_json(*files.DIALOGUES),
        **files.CRANFIELD,
        "judgements-of-other-queries": files.CRANFIELD["cranqrel"],
        "scitldr.jsonl": files.lines_of_json(*files.SUMMARIES),
        "scitldr-dev.jsonl": files.lines_of_json(*files.SUMMARIES),
        "semeval/train.txt": files.text(files.SEMEVAL),
        "finre.txt": files.FINANCE,
        "finre-valid.txt": files.FINANCE,
        "ewt-train.jsonl": files.lines_of_json(*files.ROLES),
        "ewt-dev.jsonl": files.lines_of_json(*files.ROLES),
        "ewt-dev.conll": files.text(files.ROLES_IN_COLUMNS),
        **{f"{name}.de": files.text("der film\ndie story\n" * 8) for name in ("train", "dev", "test")},
        **{f"{name}.en": files.text("the film\nthe story\n" * 8) for name in ("train", "dev")},
        "texts.txt": files.text("a fine film\na dull story\n"),
    },
    "docs/adapters.md": {
        "minilm": models.pretrained,
        **films("train.csv", "dev.csv"),
        "corpus": files.corpus,
        "PATH": models.pretrained,
    },
    "docs/generation.md": {"pretrained": models.pretrained, **titles("train.tsv", "dev.tsv", "test.tsv")},
    "docs/smaller.md": {
        "multilingual-e5-small": models.encoder,
        "reviews.tsv": files.films(),
        "classifier": models.task_model("classification", "ClassificationTask", ["0", "1"], layers=4),
        "minilm": models.encoder,
        **films("train.csv", "dev.csv", "train.tsv", "dev.tsv"),
    },
    "docs/serving.md": {"classifier": models.classifier},
    "docs/serving_page.md": {"saved_models/films": models.served},
    "docs/phone.md": {"classifier": models.classifier},
    "docs/trust.md": {
        "minilm": models.encoder,
        **films("train.csv", "dev.csv", "test.csv"),
        "intents.csv": files.table(("text", "label"), [*files.FILMS, ("who left rome", "oos")]),
        "TAGGER": models.task_model("tagging", "TaggingTask", ["O", "B-LOC", "I-LOC"]),
        "QA": models.task_model("question_answering", "QuestionAnsweringTask"),
    },
    "docs/privacy.md": {
        "letters.txt": files.text("Write to ada@example.org.\n"),
        "customers.csv": files.table(("comment", "mail"), [("fine, ask ada@example.org", "ada@example.org")]),
        "data/letter.txt": files.text("Ada left Rome.\n"),
        "NER_RUN": models.task_model("tagging", "TaggingTask", ["O", "B-person", "I-person"]),
        "TEXT": files.text(files.DOCUMENTS),
        "vocab.txt": models.vocabulary,
        **films("train.csv"),
        "RUN": models.run_of_finetuning,
    },
    "docs/differential-privacy.md": {
        "minilm": models.pretrained,
        **films("train.csv", "dev.csv", "test.csv"),
        "OTHER_RUN": models.classifier,
    },
    "docs/applications.md": {
        **MINILM,
        "headlines/a.csv": files.text(files.HEADLINES),
        "topics": models.task_model("classification", "ClassificationTask", ["Business", "World"]),
        "sentiment": models.task_model("classification", "ClassificationTask", ["negative", "positive"]),
        "movies.csv": files.table(("movieId", "title", "genres"), files.ITEMS),
        "ratings.csv": files.table(("userId", "movieId", "rating", "timestamp"), files.RATINGS),
    },
    "docs/migration/bert4keras.md": {
        "chinese_L-12_H-768_A-12": models.converted("google"),
        **films("train.tsv", "dev.tsv", "test.tsv", text_column="text_a"),
        "train.conll": files.text(files.CONLL),
        "dev.conll": files.text(files.CONLL),
    },
    "docs/migration/google-bert.md": {
        "uncased_L-12_H-768_A-12": models.converted("google", layers=4),
        **{
            f"MRPC/{name}.tsv": files.table(
                ("Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"),
                [(str(n % 2), n, n, *pair) for n, pair in enumerate(files.PAIRS)],
            )
            for name in ("train", "dev")
        },
        "train-v1.1.json": files.text(files.SQUAD),
        "dev-v1.1.json": files.text(files.SQUAD),
        "text.txt": files.text(files.DOCUMENTS),
        "vocab.txt": models.vocabulary,
        "texts.txt": files.text("a fine film\na dull story\n"),
    },
    "docs/migration/keras-hub.md": {
        "keras-hub-preset": models.converted("keras-hub"),
    },
    "docs/migration/sentence-transformers.md": {
        **MINILM,
        "all-MiniLM-L6-v2": models.embedding_model,
        "cross-encoder-folder": models.task_model("ranking", "RankingTask"),
        "docs.jsonl": files.lines_of_json(*files.DOCUMENTS_OF_SEARCH),
        "pairs.csv": files.table(("text", "pair"), files.PAIRS),
    },
    "docs/migration/tf-hub.md": {
        "uncased_L-12_H-768_A-12": models.converted("google"),
        **films("train.csv", "dev.csv"),
    },
    "docs/migration/transformers.md": {
        **BERT,
        f"{HUB}OWNER/NAME": models.task_model("tagging", "TaggingTask", ["O", "B-LOC"], foreign=True),
    },
}

_TEXTS = [text for text, _ in files.FILMS]
_LABELS = [int(label) for _, label in files.FILMS]
NAMES = {
    "docs/models.md": {
        "ids": np.array([[2, 9, 8, 3]], np.int32),
        "mask": np.ones((1, 4), np.int32),
        "types": np.zeros((1, 4), np.int32),
        "texts": _TEXTS,
        "long_text": " ".join(_TEXTS),
    },
    "docs/migration/keras-hub.md": {"texts": _TEXTS, "labels": _LABELS},
    "docs/migration/tf-hub.md": {"texts": _TEXTS, "labels": _LABELS, "steps": 20},
    "docs/migration/transformers.md": {"texts": _TEXTS, "labels": _LABELS},
}

DOWNLOADS = {"docs/migration/keras-hub.md": {"keras_hub.models.BertBackbone.from_preset": lambda _: models.backbone()}}
"""Functions of other libraries that would download weights, and what stands in their place, by page."""
