"""Small files of data in all formats that the pages name, in the place of those that a reader has."""

import csv
import gzip
import itertools
import json
import tempfile
from pathlib import Path

import kbert

FILMS = [
    (f"a {word} {thing}", label)
    for label, words in (("1", ("fine", "clever", "warm")), ("0", ("terrible", "dull", "weak")))
    for word, thing in itertools.product(words, ("film", "story", "plot", "mess"))
]
"""Texts with the labels 0 and 1."""

TICKETS = [
    (number, f"the {thing}", f"a {word} {thing}", team)
    for team, words in (("Billing", ("fine", "clever")), ("N/A", ("dull", "weak")))
    for number, (word, thing) in enumerate(itertools.product(words, ("film", "story", "plot", "mess")), start=1)
]
"""Rows of a number, a subject, a message and a team; one team is named as pandas names missing values."""


def text(content):
    """Returns a function that writes a file, and the folders above it."""

    def write(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(content, encoding="utf-8")

    return write


def table(header, rows, delimiter=None):
    """Returns a function that writes a table: CSV, or TSV if the file ends so; without a header if it is None."""

    def write(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter=delimiter or ("\t" if str(path).endswith((".tsv", ".txt")) else ","))
            writer.writerows([header] if header else [])
            writer.writerows(rows)

    return write


def films(text_column="text", label_column="label"):
    """Returns a function that writes a table of texts with labels."""
    return table((text_column, label_column), FILMS)


def lines_of_json(*values):
    return text("".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values))


# === Text for corpora ===

_WORDS = ("fine", "clever", "warm", "weak", "dull", "terrible")
DOCUMENTS = "\n\n".join(
    "\n".join(f"The {thing} is {word}, {first} and {second}." for word in _WORDS[:5])
    for thing, first, second in itertools.product(("film", "story", "plot", "mess"), _WORDS[:4], _WORDS)
)
"""96 documents of five sentences."""


def folder_of_text(name="a.txt"):
    """Returns a function that writes a folder with one file of text; it is compressed if its name says so."""

    def write(path):
        Path(path).mkdir()
        if name.endswith(".gz"):
            (Path(path) / name).write_bytes(gzip.compress(DOCUMENTS.encode()))
        else:
            (Path(path) / name).write_text(DOCUMENTS)

    return write


def corpus(path):
    """Writes a corpus with the vocabulary of the given models."""
    from documentation.given_models import vocabulary

    with tempfile.TemporaryDirectory() as folder:
        source, vocab = Path(folder, "text.txt"), Path(folder, "vocab.txt")
        source.write_text(DOCUMENTS)
        vocabulary(vocab)
        kbert.build_corpus([source], vocab=vocab, output=path, sequence_length=64, workers=1)


# === Tables and files of tasks ===

PAIRS = [
    (f"Is the {word} film new?", f"The film is {word}.") for word in ("fine", "clever", "warm", "weak", "dull")
] * 4
SCORED = [(first, second, str(place % 6)) for place, (first, second) in enumerate(PAIRS)]
CHOICES = [
    ("x", f"A {text}. It is", "fine", "clever", "dull", "weak", str(place % 4)) for place, (text, _) in enumerate(FILMS)
]

CONLL = "Ada\tB-person\nleft\tO\nRome\tB-location\n.\tO\n\n" * 12
CONLLU = (
    "# text = Ada left Rome.\n"
    "1\tAda\tAda\tPROPN\tNNP\t_\t2\tnsubj\t_\t_\n"
    "2\tleft\tleave\tVERB\tVBD\t_\t0\troot\t_\t_\n"
    "3\tRome\tRome\tPROPN\tNNP\t_\t2\tobj\t_\tSpaceAfter=No\n"
    "4\t.\t.\tPUNCT\t.\t_\t2\tpunct\t_\t_\n\n"
) * 8

SQUAD = json.dumps(
    {
        "version": "1.1",
        "data": [
            {
                "title": "Ada",
                "paragraphs": [
                    {
                        "context": f"Ada left Rome. The film is {word}.",
                        "qas": [
                            {
                                "id": f"{word}-{place}",
                                "question": question,
                                "answers": [{"text": answer, "answer_start": start}],
                            }
                            for place, (question, answer, start) in enumerate(
                                [("Who left Rome?", "Ada", 0), ("What is the film?", word, 27)]
                            )
                        ],
                    }
                    for word in ("fine", "clever", "warm", "weak")
                ],
            }
        ],
    }
)

DIALOGUES = [
    {
        "id": str(number),
        "turns": [
            {"speaker": "U", "text": f"Is the {word} film new?"},
            {"speaker": "S", "text": f"The film is {word}, and it is new."},
            {"speaker": "U", "text": "Who left?"},
            {"speaker": "S", "text": f"Ada left the {word} plot."},
        ],
    }
    for number, word in enumerate(("fine", "clever", "warm", "weak", "dull", "terrible", "new", "a"))
]

DOCUMENTS_OF_SEARCH = [{"id": str(number), "text": text} for number, (text, _) in enumerate(FILMS)]

_SMART = "".join(
    f".I {number + 1}\n.T\n{text}\n.A\n.B\n.W\nIt is {text}.\n" for number, (text, _) in enumerate(FILMS[:12])
)
_QUERIES = "".join(f".I {number + 1:03}\n.W\nwhich is {text}\n" for number, (text, _) in enumerate(FILMS[:12]))
_JUDGEMENTS = "".join(f"{number} {number} 2\n{number} {number % 12 + 1} 3\n" for number in range(1, 13))
CRANFIELD = {"cran.all.1400": text(_SMART), "cran.qry": text(_QUERIES), "cranqrel": text(_JUDGEMENTS)}

SUMMARIES = [
    {
        "source": [f"The film is {word}.", "Ada left Rome.", "It is new."],
        "source_labels": [1, 0, 0],
        "target": [f"A {word} film."],
    }
    for word in ("fine", "clever", "warm", "weak", "dull", "terrible") * 2
]

SEMEVAL = "".join(
    f'{number + 1}\t"The <e1>film</e1> {verb} a {word} <e2>plot</e2>."\n{relation}\nComment:\n\n'
    for number, (word, (verb, relation)) in enumerate(
        itertools.product(
            ("fine", "clever", "warm", "weak", "dull", "new"),
            (("has", "Component-Whole(e2,e1)"), ("left", "Other")),
        )
    )
)
FINANCE = table(
    None, [("film", "plot", ("has", "is")[n % 2], f"the film {text} plot") for n, (text, _) in enumerate(FILMS)]
)

ROLES = [
    {
        "text": f"Ada left the {word} film",
        "predicates": [
            {
                "start": 4,
                "end": 8,
                "sense": "leave.01",
                "roles": [
                    {"start": 0, "end": 3, "role": "ARG0"},
                    {"start": 9, "end": 18 + len(word), "role": "ARG1"},
                ],
            }
        ],
    }
    for word in ("fine", "clever", "warm", "weak", "dull", "terrible")
]
ROLES_IN_COLUMNS = (
    "d\t0\t0\tAda\tNNP\t*\t-\t-\t(ARG0*)\n"
    "d\t0\t1\tleft\tVBD\t*\tleave\tleave.01\t(V*)\n"
    "d\t0\t2\tRome\tNNP\t*\t-\t-\t(ARG1*)\n\n"
)

TITLES = [
    (f"The film is {word}, and its plot is new.", f"A {word} film") for word in ("fine", "clever", "warm", "weak")
] * 4

# === Files of the applications ===

ITEMS = [(f"{kind}{n}", f"{kind.title()} {n} (19{n + 10})", kind) for kind in ("cat", "dog") for n in range(30)] + [
    ("toy", "Toy Story (1995)", "cat")
]
RATINGS = [
    (user, f"{('cat', 'dog')[user % 2]}{(user + step) % 30}", 5, 1000 * user + step)
    for user in range(60)
    for step in range(12)
]
HEADLINES = "text,time\n" + "".join(f"{text},2026-05-01T0{place % 8}:00\n" for place, (text, _) in enumerate(FILMS))
