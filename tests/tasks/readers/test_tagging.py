import json

import pytest

from kbert.errors import DataError, UsageError
from kbert.sources.bad_rows import BadRows
from kbert.tasks.readers.tagged_words import join_words
from kbert.tasks.readers.tagging import Span, TaggedText, read_tagged_texts


def read(path, *, scheme="auto", targets=True, skip=0, strict=False, offsets="characters", **columns):
    bad = BadRows(skip)
    texts = read_tagged_texts(path, columns, scheme=scheme, targets=targets, bad=bad, strict=strict, offsets=offsets)
    bad.tell_repairs(path)
    return texts


@pytest.fixture
def written(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


# === CoNLL ===


@pytest.mark.parametrize("separator", ["\t", " "])
@pytest.mark.parametrize("between", [(), ("NN",), ("NN", "B-NP")])
def test_conll_of_two_to_four_columns(written, separator, between):
    rows = [("Anna", "B-PER"), ("Li", "I-PER"), ("sang", "O"), None, ("in", "O"), ("Rom", "B-LOC")]
    lines = [separator.join([row[0], *between, row[1]]) if row else "" for row in rows]
    path = written("a.conll", "-DOCSTART- -X- O O\n\n" + "\n".join(lines))
    assert read(path) == [
        TaggedText("Anna Li sang", (Span(0, 7, "PER"),), 3),
        TaggedText("in Rom", (Span(3, 6, "LOC"),), 7),
    ]
    assert read(path, targets=False) == [TaggedText("Anna Li sang", None, 3), TaggedText("in Rom", None, 7)]


def test_characters_are_joined_without_spaces(written):
    path = written("a.txt", "叶 B-name\n老 I-name\n桂 I-name\nin O\n北 B-loc\n京 I-loc\n")
    assert read(path) == [TaggedText("叶老桂 in 北京", (Span(0, 3, "name"), Span(7, 9, "loc")), 1)]
    assert join_words(["a", "b", "中", "文", "。"]) == "a b 中文 。"


def test_a_table_whose_header_is_in_quotation_marks(written):
    path = written("a.csv", '"text","label"\n"Anna sang","B-PER O"\n')
    assert read(path) == [TaggedText("Anna sang", (Span(0, 4, "PER"),), 2)]


def test_a_tag_that_breaks_the_scheme_names_its_line(written):
    path = written("a.conll", "a B-X\nb I-X\n\nc O\nd I-X\n\ne B-X\n")
    with pytest.raises(
        DataError,
        match=r"a\.conll:5: expected B-X before 'I-X' \(scheme iob2\)\. Received it without; leave out --st",
    ):
        read(path, strict=True)
    assert [text.text for text in read(path, skip=1, strict=True)] == ["a b", "e"]


def test_tags_that_break_the_scheme_are_repaired_and_counted(written, caplog):
    path = written("a.conll", "a B-X\nb I-X\n\nc O\nd I-X\n\ne I-Y\n")
    assert [text.spans for text in read(path)] == [(Span(0, 3, "X"),), (Span(2, 3, "X"),), (Span(0, 1, "Y"),)]
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{path}: 2 tags such as I-X that nothing begins, or entities without an end, were read as conlleval reads "
        f"them (first: {path}:5)"
    )


def test_lines_of_another_width(written):
    path = written("a.conll", "a B-X\nb\n\nc NN O\n\nd O\n")
    with pytest.raises(DataError, match=r"a\.conll:2: expected 2 columns: a word, and its tag last\. Received: 'b'$"):
        read(path)
    with pytest.raises(DataError, match=r"a\.conll:4: .*Received: 'c NN O' \(after 1 bad row that was skipped\)$"):
        read(path, skip=1)
    assert [text.text for text in read(path, skip=2)] == ["d"]


def test_a_bad_first_line_is_skipped_alone(written):
    path = written("a.conll", "My corpus version one two\n\nAda B-PER\n")
    assert [text.text for text in read(path, skip=1)] == ["Ada"]
    with pytest.raises(DataError, match=r"a\.conll:1: expected 2 columns: a word, and its tag last\. Received"):
        read(path)


def test_letters_alone_are_of_one_type(written):
    path = written("a.conll", "北 B\n京 E\n是 S\n")
    assert read(path) == [TaggedText("北京是", (Span(0, 2, "entity"), Span(2, 3, "entity")), 1)]
    path = written("b.conll", "New B\nYork I\nis O\n")
    assert read(path) == [TaggedText("New York is", (Span(0, 8, "entity"),), 1)]
    # Beside other types a letter is one, too: M are measure words.
    path = written("c.conll", "三 CD\n本 M\n书 NN\n")
    assert [span.label for span in read(path)[0].spans] == ["CD", "M", "NN"]


def test_underscores_between_letter_and_type(written):
    path = written("a.conll", "New B_LOC\nYork I_LOC\nis O\n")
    assert read(path) == [TaggedText("New York is", (Span(0, 8, "LOC"),), 1)]
    path = written("b.conll", "a@b.c E_MAIL\nis O\n")
    assert read(path) == [TaggedText("a@b.c is", (Span(0, 5, "E_MAIL"),), 1)]


def test_tags_with_the_letter_behind(written):
    path = written("a.conll", "in O\nNew LOC-B\nYork LOC-I\n")
    with pytest.raises(DataError, match=r"a\.conll:2: expected tags with the letter first, such as B-LOC\. Received"):
        read(path)


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("b-per i-per o", (Span(0, 3, "per"),)),
        ("b_per i_per o", (Span(0, 3, "per"),)),
        ("B-PER I-PER o", (Span(0, 3, "PER"),)),
        ("b i o", (Span(0, 3, "entity"),)),
        ("per per o", (Span(0, 3, "per"),)),
        ("s-bahn s-bahn O", (Span(0, 3, "s-bahn"),)),  # no tag begins as those of a scheme do
    ],
)
def test_tags_in_small_letters(written, tags, spans):
    path = written("a.conll", "".join(f"{word} {tag}\n" for word, tag in zip("abc", tags.split(), strict=True)))
    assert read(path) == [TaggedText("a b c", spans, 1)]


def test_conll_columns_by_number(written):
    path = written("a.conll", "1 Ada NN B-PER\n2 left VB O\n")
    assert read(path, text="2", label="4") == [TaggedText("Ada left", (Span(0, 3, "PER"),), 1)]
    assert read(path, text="2", label="3") == [TaggedText("Ada left", (Span(0, 3, "NN"), Span(4, 8, "VB")), 1)]
    assert read(path, text="2", targets=False) == [TaggedText("Ada left", None, 1)]
    with pytest.raises(UsageError, match=r"give the number of a column, such as --text-column 1\. Received: words"):
        read(path, text="words")
    with pytest.raises(DataError, match=r"a\.conll:1: expected at least 7 columns with a word and a tag\. Received"):
        read(path, text="2", label="7")


def test_comments_and_ranges_of_conll_u(written):
    rows = [
        "# sent_id = 1",
        "# text = vámonos\tal mar",
        "1-2\tvámonos\t_\t_\t_\t_\t_\t_\t_\t_",
        "1\tvamos\tir\tVERB\t_\t_\t0\troot\t_\t_",
        "2\tnos\tnos\tPRON\t_\t_\t1\tobj\t_\t_",
        "2.1\tnada\t_\tPRON\t_\t_\t_\t_\t_\t_",
        "#\t#\t#\tSYM\t_\t_\t_\t_\t_\t_",
    ]
    path = written("a.conllu", "\n".join(rows))
    spans = (Span(0, 5, "VERB"), Span(6, 9, "PRON"), Span(10, 11, "SYM"))
    assert read(path, text="2", label="4") == [TaggedText("vamos nos #", spans, 4)]
    assert read(path) == read(path, text="2", label="4")


def test_comments_of_as_many_words_as_columns(written):
    """In a file with tabs, a line without a tab is no row, even if it has as many words as rows have columns."""
    path = written("a.conllu", "# sent_id = 1\n# text = a\n1\tAda\tX\tB-PER\n2\tleft\tX\tO\n")
    assert read(path, text="2", label="4") == [TaggedText("Ada left", (Span(0, 3, "PER"),), 3)]


def test_words_that_begin_like_comments(written):
    path = written("a.conll", "# id 7 domain=train\n#fun O\n# O\n#Rom B-LOC\n")
    assert [text.text for text in read(path)] == ["#fun # #Rom"]
    path = written("b.conll", "# id 7\tdomain=train\n#fun\tO\n#Rom\tB-LOC\n")
    assert [text.text for text in read(path)] == ["#fun #Rom"]


# === Tables ===


@pytest.mark.parametrize("names", ["Sentence #,Word,POS,Tag", "sentence_id,words,pos,labels"])
@pytest.mark.parametrize("every", [True, False])
def test_tables_of_a_word_a_row(written, names, every):
    rows = ["Sentence: 1,Ada,NN,B-PER", ",left,VB,O", "Sentence: 2,In,IN,O", ",Rome,NN,B-LOC"]
    if every:
        rows[1], rows[3] = f"Sentence: 1{rows[1]}", f"Sentence: 2{rows[3]}"
    path = written("a.csv", "\n".join([names, *rows]))
    assert read(path) == [
        TaggedText("Ada left", (Span(0, 3, "PER"),), 2),
        TaggedText("In Rome", (Span(3, 7, "LOC"),), 4),
    ]
    assert [text.text for text in read(path, targets=False)] == ["Ada left", "In Rome"]


def test_tables_of_a_word_a_row_with_empty_lines(written):
    path = written("a.tsv", "Word\tTag\nAda\tB-PER\nleft\tO\n\nIn\tO\nRome\tB-LOC\n")
    assert [text.text for text in read(path, text="Word", label="Tag")] == ["Ada left", "In Rome"]
    path = written("b.csv", "Word,Tag\nAda,B-PER\nleft,O\n")
    with pytest.raises(DataError, match=r"b\.csv:2: .* Received a single word in each row; .*--sentence-column"):
        read(path)
    rows = [{"nr": 1.0, "w": "Ada", "t": "B-PER"}, {"nr": 1.0, "w": "left", "t": "O"}, {"nr": 2.0, "w": "Hi", "t": "O"}]
    path = written("c.jsonl", "\n".join(map(json.dumps, rows)))
    assert [text.text for text in read(path, text="w", label="t", sentence="nr")] == ["Ada left", "Hi"]


def test_tables_of_words_and_tags(written):
    path = written("a.tsv", "text_a\tlabel\n海 \x02 钓 厦 门\tO O B-LOC I-LOC\n".replace(" \x02 ", " "))
    assert read(path) == [TaggedText("海钓厦门", (Span(2, 4, "LOC"),), 2)]
    path = written("b.tsv", "text_a\tlabel\n海\x02钓\x02厦\x02门\tO\x02O\x02B-LOC\x02I-LOC\n")
    assert read(path) == [TaggedText("海钓厦门", (Span(2, 4, "LOC"),), 2)]
    path = written("c.csv", "words,marks\na b c,O O\na b,O B-X\n")
    with pytest.raises(DataError, match=r"c\.csv:2: expected as many tags as words\. Received: 2 tags, 3 words$"):
        read(path, text="words", label="marks")
    assert read(path, text="words", label="marks", skip=1) == [TaggedText("a b", (Span(2, 3, "X"),), 3)]


def test_nothing_between_two_marks(written):
    path = written("a.tsv", "text_a\tlabel\n你\x02\x02好\tO\x02O\x02O\n好\tO\n")
    with pytest.raises(DataError, match=r"a\.tsv:2: expected a word and a tag between two marks\. Received an empty"):
        read(path)
    assert [text.text for text in read(path, skip=1)] == ["好"]
    assert [text.text for text in read(path, targets=False)] == ["你好", "好"]


# === JSON lines ===


def test_json_lines_with_inclusive_ends(written):
    label = {"name": {"叶老桂": [[9, 11]]}, "company": {"浙商银行": [[0, 3]]}}
    text = "浙商银行企业信贷部叶老桂博士"
    path = written("a.jsonl", json.dumps({"text": text, "label": label}) + "\n")
    assert read(path) == [TaggedText(text, (Span(0, 4, "company"), Span(9, 12, "name")), 1)]


def test_json_lines_of_words_and_tags(written):
    rows = [{"tokens": ["Anna", "Li", "sang"], "ner_tags": ["B-PER", "I-PER", "O"]}, {"tokens": ["北", "京"]}]
    path = written("a.jsonl", json.dumps(rows[0]) + "\n" + json.dumps(rows[1] | {"ner_tags": ["O", "I-LOC"]}))
    with pytest.raises(DataError, match=r"a\.jsonl:2: expected B-LOC before 'I-LOC' \(scheme iob2\)"):
        read(path, strict=True)
    expected = [TaggedText("Anna Li sang", (Span(0, 7, "PER"),), 1), TaggedText("北京", (Span(1, 2, "LOC"),), 2)]
    assert read(path, scheme="iob1") == expected
    assert read(path, targets=False)[1] == TaggedText("北京", None, 2)


@pytest.mark.parametrize(
    "spans", [[{"start": 0, "end": 4, "label": "PER"}], [[0, 4, "PER"]], [{"start": 0, "end": 4, "type": "PER"}]]
)
def test_json_lines_with_exclusive_ends(written, spans):
    path = written("a.jsonl", "\n" + json.dumps({"sentence": "Anna sang", "entities": spans}))
    assert read(path) == [TaggedText("Anna sang", (Span(0, 4, "PER"),), 2)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"text": "abc", "spans": [[1, 9, "X"]]},
            r"expected a span inside the text, of 3 characters. Received: X ",
        ),
        ({"text": "abc", "spans": [[2, 2, "X"]]}, r"expected a span inside the text"),
        ({"text": "abc", "spans": [["0", 2, "X"]]}, r"expected a span of two character offsets and a label"),
        ({"text": "abc", "spans": [[0, 2]]}, r"expected \{\"start\", \"end\", \"label\"\} or \[start, end, label\]"),
        ({"text": "abc", "label": {"X": {"bc": [[0, 1]]}}}, r"expected 'bc' at characters 0 to 2\. The text has 'ab'"),
        ({"text": "", "spans": []}, r"expected a text, or a list of words\. Received: ''"),
        ({"tokens": ["a", ""], "tags": ["O", "O"]}, r"expected a text, or a list of words\. Received: \['a', ''\]"),
        (
            {"tokens": ["a"], "tags": [3]},
            r"expected a tag, such as B-PER or O, for each of the 1 words\. Received: \[3\]",
        ),
        ({"tokens": ["a", "b"], "tags": ["O"]}, r"expected a tag, such as B-PER or O, for each of the 2 words"),
        ({"body": "abc"}, r"there is no key 'text' or .*; the object has 'body'"),
        ({"text": "abc"}, r"there is no key 'label' or"),
        ([1], r"expected a JSON object a line\. Received list"),
    ],
)
def test_rows_that_cannot_be(written, row, message):
    good = json.dumps({"text": "abc", "spans": [], "label": []})
    path = written("a.jsonl", f"{good}\n{json.dumps(row)}\n{good}\n")
    with pytest.raises(DataError, match=rf"a\.jsonl:2: {message}"):
        read(path)
    assert len(read(path, skip=1)) == 2


@pytest.mark.parametrize(
    "content",
    [
        [["Ada left", {"entities": [[0, 3, "PER"]]}]],
        [
            {
                "data": {"text": "Ada left"},
                "annotations": [{"result": [{"value": {"start": 0, "end": 3, "labels": ["PER"]}}]}],
            }
        ],
        [{"id": 1, "text": "Ada left", "label": [{"start": 0, "end": 3, "text": "Ada", "labels": ["PER"]}]}],
        [
            {
                "text": "Ada left",
                "entities": [{"id": 4, "label": "PER", "start_offset": 0, "end_offset": 3}],
                "relations": [],
            }
        ],
        [{"id": 1, "data": "Ada left", "label": [[0, 3, "PER"]]}],
        [{"classes": ["PER"], "annotations": [["Ada left", {"entities": [[0, 3, "PER"]]}], None]}],
        [{"text": "Ada left", "spans": [{"start": 0, "end": 3, "label": "PER"}], "tokens": [{"text": "Ada"}]}],
    ],
)
def test_exports_of_annotation_programs(written, content):
    expected = [TaggedText("Ada left", (Span(0, 3, "PER"),), 1)]
    assert read(written("a.json", json.dumps(content))) == expected
    assert read(written("a.jsonl", json.dumps(content[0]))) == expected


def test_tables_with_spans_in_cells(written):
    """Label Studio writes them so."""
    spans = json.dumps([{"start": 0, "end": 3, "text": "Ada", "labels": ["PER"]}]).replace('"', '""')
    path = written("a.csv", f'id,text,label\n1,nothing,\n2,Ada left,"{spans}"\n3,no one,[]\n4,Bob,PER\n')
    assert read(path, skip=1) == [
        TaggedText("nothing", (), 2),
        TaggedText("Ada left", (Span(0, 3, "PER"),), 3),
        TaggedText("no one", (), 4),
    ]
    with pytest.raises(
        DataError, match=r"a\.csv:5: expected a text and a list of spans in JSON\. Received: 'Bob', 'PER'"
    ):
        read(path)
    assert [text.spans for text in read(path, targets=False)] == [None] * 4


def test_keys_of_spans_that_are_not_known(written):
    path = written("a.jsonl", json.dumps({"text": "Ada left", "spans": [{"offset": 0, "length": 3, "label": "PER"}]}))
    with pytest.raises(DataError, match=r"a\.jsonl:1: .* Received the keys 'offset', 'length', 'label'$"):
        read(path)


def test_offsets_in_other_units(written):
    text = "🎉 Ada left"
    path = written("a.jsonl", json.dumps({"text": text, "spans": [[3, 6, "PER"]]}))
    assert read(path, offsets="utf-16") == [TaggedText(text, (Span(2, 5, "PER"),), 1)]
    path = written("b.jsonl", json.dumps({"text": text, "spans": [[5, 8, "PER"]]}))
    assert read(path, offsets="utf-8") == [TaggedText(text, (Span(2, 5, "PER"),), 1)]
    path = written("c.jsonl", json.dumps({"text": "🎉🎉 Ada", "spans": [[5, 8, "PER"]]}))
    with pytest.raises(DataError, match=r"inside the text, of 6 .*; if offsets count units of UTF-16, give --offsets"):
        read(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match=r"no\.conll: no such file$"):
        read(tmp_path / "no.conll")


def test_real_files(data):
    assert len(read(data / "wnut17" / "wnut17train.conll")) == 3394
    texts = read(data / "wnut17" / "emerging.dev.conll")
    assert sum(len(text.spans) for text in texts) == 836
    clue = read(data / "zh_cluener" / "dev.jsonl")
    assert (len(clue), sum(len(text.spans) for text in clue)) == (1343, 3072)


def test_sentences_with_a_line_in_another_encoding_can_be_skipped(tmp_path):
    path = tmp_path / "a.conll"
    path.write_bytes(b"a O\n\nb O\n\xe9 O\nc O\n\n\xe9 O\nd O\n\ne O\n\nf O\n\xe9 O")
    with pytest.raises(DataError, match=r"a\.conll:4: expected utf-8 text. Received byte 0xe9"):
        read(path)
    assert [text.text for text in read(path, skip=3)] == ["a", "e"]


def test_lists_in_the_cells_of_a_table(written):
    lists = """tokens,ner_tags\n"['Anna', ""isn't""]","['B-PER', 'O']"\n"['in'\n 'Rom']","['O' 'B-LOC']"\n"""
    assert read(written("a.csv", lists)) == [
        TaggedText("Anna isn't", (Span(0, 4, "PER"),), 2),
        TaggedText("in Rom", (Span(3, 6, "LOC"),), 3),
    ]
    path = written("b.csv", "tokens,ner_tags\n\"['Anna', 'sang']\",\"[1, 0]\"\n")
    with pytest.raises(
        DataError, match=r"b\.csv:2: expected a tag, such as B-PER or O, .* Received numbers: '\[1, 0\]'$"
    ):
        read(path)
    assert [text.words for text in read(path, targets=False)] == [((0, 4), (5, 9))]
    path = written("c.jsonl", json.dumps({"tokens": "['Anna', 'sang']", "tags": "['B-PER', 'O']"}))
    assert read(path) == [TaggedText("Anna sang", (Span(0, 4, "PER"),), 1)]


def test_a_first_column_that_counts_words(written, logged):
    path = written("a.conll", "# source\n1\tAnna\tB-PER\tO\n2\tsang\tO\tB-X\n\n1\thi\tO\tO\n")
    assert read(path) == [TaggedText("Anna sang", (Span(5, 9, "X"),), 2), TaggedText("hi", (), 5)]
    assert logged() == [f"{path}: the first column counts words; read with --text-column 2 --label-column 4"]
    assert read(path, text="2", label="3")[0] == TaggedText("Anna sang", (Span(0, 4, "PER"),), 2)
    assert [text.text for text in read(path, targets=False)] == ["Anna sang", "hi"]
    path = written("b.conll", "0 Anna\n1 sang\n")
    assert [text.text for text in read(path, targets=False)] == ["Anna sang"]
    # Numbers that do not count are words.
    path = written("c.conll", "1 B-X I-X\n3 O O\n")
    assert read(path)[0].text == "1 3"


def test_a_first_column_of_tags(written):
    path = written("a.conll", "O in\nB-LOC Rom\n")
    with pytest.raises(
        DataError, match=r"a\.conll:2: expected a word in the first column, .*--text-column 2 --label-c"
    ):
        read(path)
    assert read(path, text="2", label="1") == [TaggedText("in Rom", (Span(3, 6, "LOC"),), 1)]


def test_a_tag_without_a_type(written):
    path = written("a.conll", "in O\nRom B-\n\nsang O\nAnna B-PER\n")
    with pytest.raises(
        DataError, match=r"a\.conll:2: expected a type behind the letter, such as B-PER\. Received 'B-'$"
    ):
        read(path)
    assert [text.text for text in read(path, skip=1)] == ["sang Anna"]


# === Other spellings of tags, and other white space ===


@pytest.mark.parametrize("outside", ["0", "_", "-", "none", "OTHER"])
def test_words_outside_all_spans_may_have_another_tag_than_o(written, logged, outside):
    path = written(f"{outside}.conll", f"Ada B-PER\nLee I-PER\nleft {outside}\n")
    assert read(path) == [TaggedText("Ada Lee left", (Span(0, 7, "PER"),), 1)]
    assert logged() == [
        f"{path}: words with the tag {outside!r} are outside all spans (--tag-scheme words learns it as a tag)"
    ]


def test_the_most_frequent_tag_is_outside_if_it_is_an_underscore(written):
    path = written("io.conll", "Ada PER\nleft _\nParis LOC\n. _\n\nran _\n")
    assert [text.spans for text in read(path)] == [(Span(0, 3, "PER"), Span(9, 14, "LOC")), ()]


def test_a_rare_underscore_is_no_tag_beside_parts_of_speech(written):
    path = written("pos.conll", "Ada PROPN\nleft VERB\nParis PROPN\n_ _\n")
    (text,) = read(path)
    assert text.per_word
    assert text.tags == ("PROPN", "VERB", "PROPN", "_")


@pytest.mark.parametrize("mark", "_.:/")
def test_any_mark_may_be_between_the_letter_and_the_type(written, mark):
    path = written("a.conll", f"Ada B{mark}PER\nLee I{mark}PER\nleft O\n")
    assert read(path) == [TaggedText("Ada Lee left", (Span(0, 7, "PER"),), 1)]


@pytest.mark.parametrize("columns", [{}, {"text": "1", "label": "2"}])
def test_a_no_break_space_is_part_of_a_word(written, columns):
    path = written("a.conll", "10\u00a0000 B-NUM\nleft O\n")
    assert read(path, **columns) == [TaggedText("10\u00a0000 left", (Span(0, 6, "NUM"),), 1)]


def test_words_that_are_only_white_space_are_left_out(written, logged):
    path = written("a.conll", "Ada B-PER\n\u3000 O\nleft O\n")
    assert read(path) == [TaggedText("Ada left", (Span(0, 3, "PER"),), 1)]
    assert logged() == [f"{path}: 1 words that are only white space were left out (first: {path}:2)"]


@pytest.mark.parametrize("column", ["text", "sentence"])
def test_each_row_of_a_table_of_texts_is_a_text_as_it_is(written, column):
    rows = ["北京很大", "北京 大学", '" Ada  flew"', '""', "上海"]
    path = written("a.csv", f"id,{column}\n" + "".join(f"{number},{row}\n" for number, row in enumerate(rows)) + "\n")
    texts = ["北京很大", "北京 大学", " Ada  flew", "", "上海"]
    assert [text.text for text in read(path, targets=False)] == texts
    assert read(path, targets=False)[2].words == ((1, 4), (6, 10))
    path = written("b.csv", f"{column}\n北京\n\n上海\n")  # a blank line is no end of a sentence of words
    assert [(text.text, text.line) for text in read(path, targets=False)] == [("北京", 2), ("上海", 4)]


def test_rows_of_words_are_joined_as_before(written):
    path = written("a.csv", "word\nAda\nflew\n\nIt\n")
    assert [text.text for text in read(path, targets=False)] == ["Ada flew", "It"]


# === Annotation programs ===


def test_texts_that_annotators_rejected_or_did_not_finish_are_left_out(written, logged):
    span = {"start": 0, "end": 3, "label": "PER"}
    prodigy = [{"text": "Ada left", "spans": [span], "answer": answer} for answer in ("accept", "reject", "ignore")]
    path = written("prodigy.jsonl", "".join(json.dumps(each) + "\n" for each in prodigy))
    assert read(path) == [TaggedText("Ada left", (Span(0, 3, "PER"),), 1)]
    left_out = "texts were left out, since their annotators rejected or skipped them, or did not annotate them"
    assert logged() == [f"{path}: 2 {left_out} (first: {path}:2)"]
    assert len(read(path, targets=False)) == 3
    studio = [
        {"data": {"text": "Ada left"}, "annotations": [{"result": [{"value": {**span, "labels": ["PER"]}}]}]},
        {"data": {"text": "Bob left"}, "annotations": [{"result": [], "was_cancelled": True}]},
        {"data": {"text": "Eve left"}, "annotations": []},
        {"data": {"text": "It rains"}, "annotations": [{"result": []}]},
    ]
    path = written("studio.json", json.dumps(studio))
    assert read(path) == [TaggedText("Ada left", (Span(0, 3, "PER"),), 1), TaggedText("It rains", (), 4)]


def test_annotations_of_brat_are_refused(written):
    path = written("a.ann", "T1\tPER 0 3\tAda\nT2\tLOC 9 14\tParis\n")
    with pytest.raises(DataError, match=r"a\.ann:1: expected a word and its tag .* Received: the annotations of brat"):
        read(path)


def test_offsets_may_be_whole_numbers_with_a_point(written):
    path = written("a.jsonl", json.dumps({"text": "Ada left", "spans": [{"start": 0.0, "end": 3.0, "label": "PER"}]}))
    assert read(path) == [TaggedText("Ada left", (Span(0, 3, "PER"),), 1)]
