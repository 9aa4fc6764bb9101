import gzip
import json

import pytest

from kbert.corpus.building.grouping import chunk_documents
from kbert.corpus.building.plan import from_json, plan_chunks, to_json
from kbert.errors import DataError
from kbert.files import LineStart
from kbert.sources.places import DocumentRange
from kbert.sources.settings import SourceSettings
from kbert.sources.source import Source

TEXTS = [f"The cat sat {'again ' * (n % 5)}{n % 9}.\nA dög ran {n % 7}." for n in range(60)]
BLANKS = "\n" + "\n\n".join(TEXTS) + "\n\n"


def plan(source, size):
    """The plan, by way of JSON; and that what is read by it is what one process goes through."""
    plans = [from_json(to_json(found)) for found in plan_chunks(source, size, least=2)]
    by_plan = [[document for wanted in ranges for document in next(source.read_ranges([wanted]))] for ranges in plans]
    assert by_plan == list(chunk_documents(source.documents(), size))
    return plans


def test_ranges(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\na cat\nb\n\nthe dog\n\n\nc d e\n\nf\n")
    found = plan(Source([path]), 8)
    assert found == [
        [DocumentRange(0, 0, 2, LineStart(1, 2))],
        [DocumentRange(0, 2, 2, LineStart(20, 8))],
    ]


@pytest.fixture(params=["text.txt", "lines.txt", "rows.jsonl", "wiki_00", "bom.txt", "crlf.txt"])
def text(request, tmp_path):
    """A file of some form, and how it is read."""
    path = tmp_path / request.param
    settings = {"document_separator": "line"} if request.param == "lines.txt" else {}
    contents = {
        "text.txt": BLANKS,
        "lines.txt": BLANKS,
        "rows.jsonl": "".join(json.dumps({"text": text}) + "\n" for text in TEXTS),
        "wiki_00": "".join(f'<doc id="{n}" url="" title="T">\nT\n\n{text}\n</doc>\n' for n, text in enumerate(TEXTS)),
        "bom.txt": "\ufeff" + BLANKS[1:],
        "crlf.txt": BLANKS.replace("\n", "\r\n"),
    }
    path.write_bytes(contents[request.param].encode())
    return path, settings


@pytest.mark.parametrize("deduplicate", ["none", "document", "line"])
@pytest.mark.parametrize("block", [50, 1 << 20])
def test_documents_of_any_form(text, deduplicate, block, monkeypatch):
    monkeypatch.setattr("kbert.files.lines._BLOCK_SIZE", block)
    path, settings = text
    source = Source([path], SourceSettings(deduplicate=deduplicate, **settings))
    plans = plan(source, 70)
    assert len(plans) > 3
    assert all(len(ranges) == 1 and ranges[0].start for ranges in plans)


@pytest.mark.parametrize("deduplicate", ["none", "line"])
def test_a_table_is_read_from_its_begin(tmp_path, deduplicate):
    """Its names stand there, and a cell may hold what looks like a row."""
    (tmp_path / "rows.csv").write_text("id,text\n" + "".join(f'{n},"{text}"\n' for n, text in enumerate(TEXTS)))
    plans = plan(Source([tmp_path / "rows.csv"], SourceSettings(deduplicate=deduplicate)), 70)
    assert len(plans) > 3
    assert [ranges[0].start for ranges in plans] == [None] * len(plans)


def test_several_parts_some_of_them_compressed(tmp_path):
    for number in range(4):
        (tmp_path / f"{number}.txt").write_text("\n\n".join(TEXTS[number::4]))
    (tmp_path / "1.txt.gz").write_bytes(gzip.compress(BLANKS.encode()))
    source = Source([tmp_path, tmp_path / "0.txt"], SourceSettings(deduplicate="document", nfc=True))
    plans = plan(source, 300)
    assert any(len(ranges) > 1 for ranges in plans)
    of_part = [wanted for ranges in plans for wanted in ranges if wanted.part == 2]
    assert source.parts[2][0].endswith("1.txt.gz")
    assert [wanted.start for wanted in of_part] == [None] * len(of_part)
    together = [document for documents in source.read_ranges(of_part) for document in documents]
    assert together == [d for wanted in of_part for d in next(source.read_ranges([wanted]))]


def test_rows_of_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    parquet.write_table(pyarrow.table({"text": TEXTS}), tmp_path / "rows.parquet")
    plans = plan(Source([tmp_path]), 300)
    assert all(wanted.start is None for ranges in plans for wanted in ranges)


def test_lines_that_are_not_utf8_are_left_out_and_counted_once(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes(BLANKS.encode().replace("dög ran 3".encode(), b"d\xff ran 3"))
    source = Source([path], SourceSettings(invalid_utf8="skip"))
    plan(source, 200)
    list(plan_chunks(source, 200, least=2))
    assert source.counts["invalid_utf8"] == sum("ran 3" in text for text in TEXTS)


def test_progress(tmp_path):
    (tmp_path / "text.txt").write_text(BLANKS)
    source = Source([tmp_path], SourceSettings(deduplicate="line"))
    scanned, hashed = [], []
    list(plan_chunks(source, 200, least=2, scanned=scanned.append, hashed=hashed.append))
    size = sum(len(text.encode()) + 1 for text in TEXTS)
    assert hashed == sorted(hashed)
    assert hashed[-1] == size
    assert scanned == sorted(scanned)
    assert scanned[-1] == sum(document.size for document in source.documents())


def test_a_file_that_shrank(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(BLANKS)
    source = Source([path])
    *_, (last,) = plan_chunks(source, 200, least=2)
    path.write_text(BLANKS[:100])
    with pytest.raises(DataError, match=r"text\.txt:\d+: expected \d documents\. Received 0: the text changed while"):
        next(source.read_ranges([last]))
