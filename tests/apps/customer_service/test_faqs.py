import re

import pytest

from apps.customer_service.faqs import Columns, Faq, FileError, read_faqs, read_rows


@pytest.fixture
def write(tmp_path):
    def make(text, encoding="utf-8"):
        path = tmp_path / "f.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return make


def test_rows_with_an_id_or_an_answer_are_one_faq(faq_file, write):
    assert read_faqs(faq_file)[0] == Faq(
        "price",
        ("What does a ticket cost?", "How much is a ticket?"),
        "A ticket costs 3 euros.\nCards are accepted.",
        "tickets",
    )
    path = write("question,answer\nWhere?,Here.\nWhen?,Now.\nIn which place?,Here.\nWhere?,There.\n")
    found = read_faqs(path)
    assert [(faq.questions, faq.answer) for faq in found] == [
        (("Where?", "In which place?"), "Here."),
        (("When?",), "Now."),
        (("Where?",), "There."),
    ]
    # Ids stay the same if answers are edited, and rows are added below.
    again = read_faqs(write("question,answer\nWhere?,Here!\nWhen?,Now.\nWho?,We.\n"))
    assert [faq.id for faq in again[:2]] == [faq.id for faq in found[:2]]
    assert found[2].id == f"{found[0].id}-2"


def test_chinese_names_separators_and_a_byte_order_mark(write):
    (faq,) = read_faqs(write("\ufeff问题;答案;类别\n怎么付款？;扫码;支付\n"))
    assert (faq.questions, faq.answer, faq.category) == (("怎么付款？",), "扫码", "支付")
    (row,) = read_rows(write("a\tb\n\nWhere, please?\tx\n\n"), Columns("a"), answers=False)
    assert (row.question, row.line) == ("Where, please?", 3)
    (faq,) = read_faqs(write("text,category\nWhere?,places\n"), Columns("text", "category"))
    assert (faq.answer, faq.category) == ("places", "places")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1: expected a column 'question'. Received: no header; name the column with --question-column"),
        ("text,answer\nx,y\n", ":1: expected a column 'question'. Received: text, answer; name the column with"),
        ("question,text\nx,y\n", ":1: expected a column 'answer'. Received: question, text; name the column with"),
        ("question,answer\n", ": expected rows below the header. Received: none"),
        ('question,answer\n"a\nb",c\n,d\n', ":4: expected a question. Received: an empty cell; fill it or remove"),
        ("question,answer\na, \n", ":2: expected an answer. Received: an empty cell; fill it or remove the row"),
        ("question,answer\na,b,c\n", ":2: expected 2 cells, as in the header. Received: 3; put cells with commas"),
        ('question,answer\na,b\n"c,d\n', ":3: expected CSV. Received: a damaged row (unexpected end of data)"),
        ("id,question,answer\n1,a,b\n1,c,d\n", ":3: expected the answer and the category of the other rows with the"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(write, text, message):
    path = write(text)
    with pytest.raises(FileError, match="^" + re.escape(f"{path}{message}")):
        read_faqs(path)


def test_other_encodings_and_missing_files(write, tmp_path):
    with pytest.raises(FileError, match=r"f\.csv:2: expected UTF-8\. Received: other bytes; save the file as UTF-8$"):
        read_faqs(write("question,answer\ncafé,x\n", "latin-1"))
    with pytest.raises(FileError, match=r"^expected a CSV file\. Received: .*none\.csv \(No such file or directory\)$"):
        read_faqs(tmp_path / "none.csv")
    with pytest.raises(FileError, match=r":1: expected a column 'Frage'\. Received: question, answer; name the"):
        read_faqs(write("question,answer\na,b\n"), Columns("Frage"))
