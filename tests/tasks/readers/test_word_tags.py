import pytest

from kbert.errors import DataError
from kbert.sources.bad_rows import BadRows
from kbert.tasks.readers.tagging import Span, read_tagged_texts
from kbert.tasks.readers.word_tags import are_word_tags, predicted_tags

CONLLU = """\
# sent_id = 1
# text = Don't go.
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\tVB\t_\t3\taux\t_\t_
2\tn't\tnot\tPART\tRB\t_\t3\tadvmod\t_\t_
3\tgo\tgo\tVERB\tVB\t_\t0\troot\t_\tSpaceAfter=No
3.1\there\there\tADV\tRB\t_\t_\t_\t_\t_
4\t.\t.\tPUNCT\t.\t_\t3\tpunct\t_\t_

# sent_id = 2
1\t10 000\t10000\tNUM\tCD\t_\t0\troot\t_\t_
2\t#\t#\t_\t_\t_\t1\tpunct\t_\t_
"""


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("DET NOUN VERB", True),
        ("NN -LRB- `` , . VBZ", True),
        ("B-PER O", False),
        ("B-NP I-NP B-VP", False),
        ("b-np i-np", False),
        ("PER LOC O", False),
        ("B M E S", False),
        ("b i o", False),
        ("S V A", True),  # a set of parts of speech, two of whose letters are no letters of a scheme
        ("n v o m v", True),  # o is onomatopoeia in Chinese sets
        ("o per o loc", False),
        ("NN NN", False),  # a single type without O
        ("NN _ _", False),
        ("PER-B PER-I", False),
        ("B-PER NOUN", False),
    ],
)
def test_tags_of_words_are_told_from_tags_of_spans(tags, expected):
    assert are_word_tags([tags.split()]) is expected


def test_the_first_word_of_the_tokenizer_counts():
    # "n't" has the words n, ' and t; the control character at 4 has none.
    assert predicted_tags([(0, 3), (4, 5), (6, 8)], [0, 1, 2, 6, 7], ["A", "B", "C", "D", "E"], "?") == ["A", "?", "D"]
    assert predicted_tags([(0, 3), (4, 5)], [], []) == [-1, -1]


def read(path, scheme="auto", **columns):
    return read_tagged_texts(path, columns, scheme=scheme, targets=True, bad=BadRows())


@pytest.mark.parametrize("name", ["a.conllu", "a.conll", "a.txt"])
def test_conll_u_is_read_without_options(tmp_path, name):
    path = tmp_path / name
    path.write_text(CONLLU, encoding="utf-8")
    first, second = read(path)
    assert (first.text, first.tags, first.per_word) == ("Do n't go .", ("AUX", "PART", "VERB", "PUNCT"), True)
    assert first.words == ((0, 2), (3, 6), (7, 9), (10, 11))
    assert (second.text, second.tags, second.words) == ("10 000 #", ("NUM", "_"), ((0, 6), (7, 8)))
    assert [text.tags for text in read(path, label="5")] == [("VB", "RB", "VB", "."), ("CD", "_")]
    (prediction, _) = read_tagged_texts(path, {}, scheme="auto", targets=False, bad=BadRows())
    assert (prediction.text, prediction.tags) == ("Do n't go .", None)


def test_a_file_of_ten_columns_that_is_not_conll_u(tmp_path):
    path = tmp_path / "a.conll"
    path.write_text("\t".join("word a b c d e f g h TAG".split()) + "\n")
    with pytest.raises(DataError, match=r"a\.conll:1: .* Received 10 columns: say which they are with --text"):
        read(path)


def test_the_tags_stay_as_the_file_has_them(tmp_path):
    path = tmp_path / "a.conll"
    path.write_text("the o\ncat n\nsat v\nb v\n")
    (text,) = read(path)
    assert (text.tags, text.per_word) == (("o", "n", "v", "v"), True)
    assert text.spans == (Span(0, 3, "o"), Span(4, 7, "n"), Span(8, 13, "v"))
    path.write_text("the O\ncat S\nsat V\n")  # O is a pronoun in the tags of tweets
    assert read(path)[0].per_word is False
    (text,) = read(path, scheme="words")
    assert (text.tags, text.per_word) == (("O", "S", "V"), True)


def test_lists_and_tables_of_words(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"tokens": ["a", "cat"], "pos_tags": ["DET", "NOUN"]}\n')
    assert read(path)[0].tags == ("DET", "NOUN")
    path = tmp_path / "a.csv"
    path.write_text("sentence_id,word,pos\n1,a,DET\n1,cat,NOUN\n2,sat,VERB\n")
    assert [(text.text, text.tags) for text in read(path)] == [("a cat", ("DET", "NOUN")), ("sat", ("VERB",))]
