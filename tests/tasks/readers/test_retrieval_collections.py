import json

import pytest

from kbert.errors import DataError, UsageError
from kbert.sources.bad_rows import BadRows
from kbert.sources.table_format import TableFormat
from kbert.tasks.readers.judged_texts import read_judged
from kbert.tasks.readers.retrieval_collections import (
    Document,
    DocumentColumns,
    find_document_columns,
    read_documents,
    read_judgements,
    read_queries,
)

SMART = """.I 1
.T
wings in a
slipstream .
.A
someone
.W
wings in a slipstream .
  a study was
made .
.I 2
.T
flows
.W
of air .
"""


def write(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_documents_in_the_format_of_smart(tmp_path):
    path = write(tmp_path, "cran.all", SMART)
    assert list(read_documents(path)) == [
        Document("1", "wings in a slipstream . a study was made .", 1),
        Document("2", "flows\nof air .", 11),
    ]


def test_smart_queries_are_numbered_by_their_place(tmp_path):
    path = write(tmp_path, "cran.qry", ".I 001\n.W\nwhat ?\n.I 004\n.W\nhow\nso ?\n")
    assert {name: query.text for name, query in read_queries(path).items()} == {"1": "what ?", "2": "how so ?"}


def test_a_skipped_query_keeps_its_place(tmp_path):
    path = write(tmp_path, "cran.qry", ".I 001\n.W\nwhat ?\n.I 002\n.W\n.I 004\n.W\nhow ?\n")
    queries = read_queries(path, bad=BadRows(1))
    assert {name: query.text for name, query in queries.items()} == {"1": "what ?", "3": "how ?"}


def test_three_columns_that_are_no_codes(tmp_path):
    expected = {"1": {"d1": 1.0, "d2": 0.0}}
    assert read_judgements(write(tmp_path, "a", "1 d1 1\n1 d2 0\n")) == expected
    assert read_judgements(write(tmp_path, "b.tsv", "query document score\n1 d1 1\n1 d2 0\n")) == expected
    assert read_judgements(write(tmp_path, "c", "1 d1 4\n1 d2 -1\n")) == expected


def test_ms_marco_has_no_header(tmp_path):
    path = write(tmp_path, "collection.tsv", '0\tThe "first" one.\n1\tAnother one.\n')
    assert list(read_documents(path)) == [Document("0", 'The "first" one.', 1), Document("1", "Another one.", 2)]
    path = write(tmp_path, "docs.tsv", "D1\thttp://x\tA title\tA body\n")
    assert list(read_documents(path)) == [Document("D1", "A title A body", 1)]
    path = write(tmp_path, "topics.tsv", "7#0\twhat ?\nPLAIN-2\thow ?\n")
    assert {name: query.text for name, query in read_queries(path).items()} == {"7#0": "what ?", "PLAIN-2": "how ?"}
    path = write(tmp_path, "pairs.csv", "sentence1,sentence2\na cat,a dog\n")
    with pytest.raises(DataError, match=r"pairs\.csv:1: expected the columns id and text, "):
        list(read_documents(path))
    path = write(tmp_path, "a.csv", "name,body\nx,y\n")
    with pytest.raises(
        DataError, match=r"a\.csv:1: expected the columns id and text, .* Received the columns 'name', "
    ):
        list(read_documents(path))


def test_json_lines_with_titles(tmp_path):
    path = write(tmp_path, "corpus.jsonl", '{"_id": "a", "title": "T", "text": "x"}\n\n{"id": 7, "text": "y"}\n')
    assert list(read_documents(path)) == [Document("a", "T\nx", 1), Document("7", "y", 3)]


def test_usual_names_of_ids(tmp_path):
    path = write(tmp_path, "corpus.jsonl", '{"docid": "7#0", "title": "T", "text": "x"}\n')
    assert list(read_documents(path)) == [Document("7#0", "T\nx", 1)]
    assert find_document_columns(path, None, None) == DocumentColumns()
    path = write(tmp_path, "queries.csv", "query_id,text\n7#0,x\n")
    assert read_queries(path) == {"7#0": Document("7#0", "x", 2)}


def test_a_table(tmp_path):
    path = write(tmp_path, "q.tsv", "id\ttext\nq1\thow\n")
    assert read_queries(path) == {"q1": Document("q1", "how", 2)}


def test_a_folder_of_paragraphs(tmp_path):
    (tmp_path / "docs" / "sub").mkdir(parents=True)
    write(tmp_path / "docs", "b.txt", "\none\ntwo\n\n\nthree\n")
    write(tmp_path / "docs" / "sub", "c.txt", "four")
    assert list(read_documents(tmp_path / "docs")) == [
        Document("b.txt#1", "one\ntwo", 2),
        Document("b.txt#2", "three", 6),
        Document("sub/c.txt#1", "four", 1),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "hello\n", r"a\.txt:1: expected a collection of SMART, which begins with '\.I 1', or .*'hello'$"),
        ("a.txt", ".I 1\n.W\n.I 2\n.W\nx\n", r"a\.txt:1: expected a text for the id '1'\. Received an empty one$"),
        ("a.jsonl", '{"id": "1"}\n', r"a\.jsonl:1: expected \{\"id\": …, \"text\": \"…\"\}, .* keys 'id'$"),
        ("a.jsonl", '{"id": "1", "text": "x"}\n' * 2, r"a\.jsonl:2: the id '1' must appear once; it is in line 1 too$"),
        ("a.jsonl", "", r"a\.jsonl: expected documents\. There are none$"),
    ],
)
def test_documents_that_cannot_be(tmp_path, name, text, message):
    with pytest.raises(DataError, match=message):
        list(read_documents(write(tmp_path, name, text)))


def test_bad_documents_are_skipped(tmp_path):
    bad = BadRows(1)
    path = write(tmp_path, "a.txt", ".I 1\n.W\n.I 2\n.W\nx\n")
    assert [document.id for document in read_documents(path, bad=bad)] == ["2"]
    assert bad.count == 1


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere: no such file or folder$"):
        list(read_documents(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match=r"nowhere: no such file$"):
        read_judgements(tmp_path / "nowhere")


def test_judgements_of_three_kinds(tmp_path, logged):
    expected = {"1": {"d1": 4.0, "d2": 0.0}, "2": {"d1": 1.0}}
    assert read_judgements(write(tmp_path, "trec", "1 0 d1 4\n1 Q0 d2 0\n2 0 d1 1\n")) == expected
    beir = "query-id\tcorpus-id\tscore\n1\td1\t4\n1\td2\t0\n2\td1\t1\n"
    assert read_judgements(write(tmp_path, "beir.tsv", beir)) == expected
    assert logged() == []
    assert read_judgements(write(tmp_path, "cranqrel", "1 d1 1\n1 d2  5\n2 d1 4\n")) == expected
    told = f"{tmp_path / 'cranqrel'}: read as Cranfield's codes, 1 best and 5 worthless; with a header they are gains"
    assert logged() == [told]


@pytest.mark.parametrize("line", ["1 d1", "1 0 d1 good", "1 0 d1 2 3"])
def test_a_judgement_that_is_none(tmp_path, line):
    path = write(tmp_path, "qrels", f"1 0 d1 1\n{line}\n")
    with pytest.raises(DataError, match=rf"qrels:2: expected a query, a document and a number .*Received '{line}'$"):
        read_judgements(path)


def test_texts_behind_judgements(tmp_path):
    documents = write(tmp_path, "d.jsonl", '{"id": "d1", "text": "x"}\n{"id": "d2", "text": "y"}\n')
    queries = write(tmp_path, "q.jsonl", '{"id": "q", "text": "how"}\n')
    judged, pool = read_judged(write(tmp_path, "qrels", "q 0 d2 2\n"), documents, queries, BadRows())
    assert [(query.text, [(document.text, gain) for document, gain in found]) for query, found in judged] == [
        ("how", [("y", 2.0)])
    ]
    assert pool == ["x", "y"]
    empty = write(tmp_path, "e.jsonl", '{"id": "d1", "text": "x"}\n{"id": "d2", "text": ""}\n')
    judged, pool = read_judged(write(tmp_path, "qrels", "q 0 d2 2\nq 0 d1 1\n"), empty, queries, BadRows(1))
    assert ([len(found) for _, found in judged], pool) == ([1], ["x"])  # the empty document is one bad row, not two
    lacking = write(tmp_path, "n.jsonl", '{"id": "d1", "text": "x"}\n{"id": "d2", "text": null}\n')
    mute = write(tmp_path, "m.jsonl", '{"id": "q", "text": "how"}\n{"id": "r", "text": ""}\n')
    bad = BadRows(2)
    read_judged(write(tmp_path, "qrels", "q 0 d2 2\nq 0 d1 1\nr 0 d1 1\n"), lacking, mute, bad)
    assert bad.count == 2
    with pytest.raises(DataError, match=r"qrels: the document 'd3' is not in .*d\.jsonl$"):
        read_judged(write(tmp_path, "qrels", "q 0 d3 2\n"), documents, queries, BadRows())
    with pytest.raises(DataError, match=r"qrels: the query 'z' is not in .*q\.jsonl$"):
        read_judged(write(tmp_path, "qrels", "z 0 d1 2\n"), documents, queries, BadRows())
    with pytest.raises(UsageError, match=r"^judgements need both --documents and --queries$"):
        read_judged(tmp_path / "qrels", documents, None, BadRows())


# === Parquet, Excel, CSV and datasets by name ===

ROWS = [{"_id": "a", "title": "T", "text": "x"}, {"_id": "b", "title": "", "text": "y"}]
FOUND = [("a", "T\nx"), ("b", "y")]
JUDGED = [
    {"query-id": "q1", "corpus-id": "a", "score": 2},
    {"query-id": "q1", "corpus-id": "b", "score": 0},
    {"query-id": "q2", "corpus-id": "b", "score": 1},
]
GAINS = {"q1": {"a": 2.0, "b": 0.0}, "q2": {"b": 1.0}}


def as_parquet(path, rows):
    arrow = pytest.importorskip("pyarrow", reason="needs pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")
    parquet.write_table(arrow.Table.from_pylist(rows), path / "rows.parquet")
    return path / "rows.parquet"


def as_excel(path, rows):
    openpyxl = pytest.importorskip("openpyxl", reason="needs openpyxl")
    book = openpyxl.Workbook()
    sheet = book.create_sheet("rows")
    for row in ([*rows[0]], *([*row.values()] for row in rows)):
        sheet.append(row)
    book.save(path / "book.xlsx")
    return f"{path}/book.xlsx#rows"


def as_dataset(path, rows):
    """A folder, which the library takes like a dataset of the hub."""
    pytest.importorskip("datasets", reason="needs datasets")
    (path / "set").mkdir()
    write(path / "set", "test.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    return f"hf-datasets:{path}/set:test"


def as_lines(path, rows):
    return write(path, "rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def as_csv(path, rows):
    lines = [rows[0], *(row.values() for row in rows)]
    return write(path, "rows.csv", "".join(",".join(map(str, line)) + "\n" for line in lines))


NAMED = (as_parquet, as_dataset, as_lines)


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("written", NAMED)
def test_documents_and_queries_with_names(tmp_path, written):
    path = written(tmp_path, ROWS)
    assert [(found.id, found.text) for found in read_documents(path)] == FOUND
    assert {name: query.text for name, query in read_queries(path).items()} == dict(FOUND)


@pytest.mark.parametrize("written", [as_excel, as_csv])
def test_documents_in_cells(tmp_path, written):
    path = written(tmp_path, ROWS)
    assert [(found.id, found.text) for found in read_documents(path)] == [("a", "T x"), ("b", "y")]
    # Without a header, ids and texts are told by the form of the ids.
    path = written(tmp_path, [{"1": 7, "x": "one"}])
    assert next(read_documents(path)) == Document("1", "x", 1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("written", [*NAMED, as_excel, as_csv])
def test_judgements_with_names(tmp_path, written):
    assert read_judgements(written(tmp_path, JUDGED)) == GAINS


def test_judgements_in_cells_without_names(tmp_path):
    assert read_judgements(write(tmp_path, "a.csv", "q1,0,a,2\nq1,0,b,0\nq2,0,b,1\n")) == GAINS  # as in TREC
    assert read_judgements(write(tmp_path, "b.csv", "q1,a,1\nq1,b,5\n")) == {"q1": {"a": 4.0, "b": 0.0}}  # Cranfield
    no_zero = "q1,0,a,3\nq1,0,b,1\n"  # four columns are never codes
    assert read_judgements(write(tmp_path, "d.csv", no_zero)) == {"q1": {"a": 3.0, "b": 1.0}}
    assert read_judgements(write(tmp_path, "c.csv", "q1 0 a 2\nq1 0 b 0\nq2 0 b 1\n")) == GAINS  # not CSV at all


def test_judgements_of_other_columns(tmp_path):
    path = as_lines(tmp_path, [{"question": "q1", "corpus-id": "a", "score": 1}])
    message = "such as query-id, corpus-id and score. Received 'question', 'corpus-id', 'score'"
    with pytest.raises(DataError, match=message):
        read_judgements(path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("written", [*NAMED, as_excel, as_csv])
@pytest.mark.parametrize("numbered", [False, True])
def test_documents_with_other_columns(tmp_path, written, numbered):
    path = written(tmp_path, [{"key": 7, "head": "T", "body": "x"}, {"key": 8, "head": "U", "body": "y"}])
    header = written not in NAMED  # whose numbers are for files without a header
    columns = find_document_columns(path, "1" if numbered else "key", "3" if numbered else "body")
    assert [(found.id, found.text) for found in read_documents(path, columns=columns)][header and numbered :] == [
        ("7", "x"),
        ("8", "y"),
    ]
    columns = find_document_columns(path, "key", "head,body")
    assert next(read_documents(path, columns=columns)).text.split() == ["T", "x"]


@pytest.mark.parametrize(("header", "named"), [("title,text", None), ("docno,title,text", "docno")])
def test_a_title_is_before_the_text(tmp_path, header, named):
    path = write(tmp_path, "a.csv", f"{header}\n{'d1,' if named else ''}Cats,They purr.\n")
    columns = find_document_columns(path, named, None)
    assert next(read_documents(path, columns=columns)).text == "Cats They purr."


def test_the_format_of_the_files_is_used(tmp_path):
    form = TableFormat(";", "latin-1")
    documents = tmp_path / "a.txt"
    documents.write_bytes("id;text\nd1;Käse\n".encode("latin-1"))
    columns = find_document_columns(documents, None, None, form)
    assert [(each.id, each.text) for each in read_documents(documents, columns=columns, form=form)] == [("d1", "Käse")]
    assert read_queries(documents, form=form)["d1"].text == "Käse"
    judgements = write(tmp_path, "b.txt", "query;document;gain\nq1;d1;2\n")
    assert read_judgements(judgements, form=form) == {"q1": {"d1": 2.0}}
    trec = write(tmp_path, "d.txt", "q1 0 d1 2\n")  # without the delimiter of the other files
    assert read_judgements(trec, form=form) == {"q1": {"d1": 2.0}}
    smart = tmp_path / "c.txt"
    smart.write_bytes(".I 1\n.W\nKäse\n".encode("latin-1"))
    assert read_queries(smart, form=TableFormat(encoding="latin-1"))["1"].text.strip() == "Käse"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("written", [*NAMED, as_csv])
def test_documents_without_ids_have_the_numbers_of_their_lines(tmp_path, written, caplog):
    caplog.set_level("INFO", logger="kbert")
    path = written(tmp_path, [{"text": "x", "label": 1}, {"text": "y", "label": 0}])
    found = [each.id for each in read_documents(path, columns=find_document_columns(path, None, None))]
    assert found == (["2", "3"] if written is as_csv else ["1", "2"])
    assert [record.message for record in caplog.records] == [
        f"{path}: there is no column of ids; the ids of documents are the numbers of their lines"
    ]
    # Queries and judged documents need ids, and no option names their columns.
    with pytest.raises(DataError, match=r"expected|there is no column 'id'; .* Rename the column that holds it$"):
        read_queries(path)


def test_columns_for_files_without_columns(tmp_path):
    path = write(tmp_path, "cran.all", SMART)
    for where, words in ((path, "a collection of SMART"), (tmp_path, "a folder of texts")):
        with pytest.raises(UsageError, match=f"--id-column and --text-column are for .* Received: {words}; leave them"):
            list(read_documents(where, columns=find_document_columns(where, "key", None)))
