import pytest

from kbert.errors import DataError
from kbert.tasks.factories import task_class
from kbert.tasks.readers.predicates import Predicate, RolesText
from kbert.tasks.readers.tagging import Span

GIVE = Predicate(4, 8, "give.01", (Span(0, 3, "ARG0"), Span(9, 12, "ARG2"), Span(13, 19, "ARG1")))
WANT = (
    RolesText("Ada gave Bob a book", (GIVE,), 1),
    RolesText("She left", (Predicate(4, 8, None, (Span(0, 3, "ARG0"),)),), 7),
)
CONLL_2012 = """\
bn/a 0 0 Ada NNP (TOP(S(NP*) - - - - (PERSON*) (ARG0*) -
bn/a 0 1 gave VBD (VP* give 01 1 - * (V*) -
bn/a 0 2 Bob NNP (NP*) - - - - (PERSON*) (ARG2*) -
bn/a 0 3 a DT (NP* - - - - * (ARG1* -
bn/a 0 4 book NN *)))) - - - - * *) -

bn/a 0 0 She PRP (NP*) - - - - * (ARG0*) -
bn/a 0 1 left VBD (VP*) leave - 1 - * (V*) -
"""
CONLL_2005 = """\
Ada   NNP (S* - -     (ARG0*)
gave  VBD *   01 give (V*)
Bob   NNP *   - -     (ARG2*)
a     DT  *   - -     (ARG1*
book  NN  *)  - -     *)

She   PRP (S* - -     (ARG0*)
left  VBD *)  - leave (V*)
"""
PLUS = """\
# global.columns = ID FORM HEAD UP:PRED UP:ARGHEADS UP:ARGSPANS
# text = Ada gave Bob a book
1	Ada	2	_	_	_
2	gave	0	give.01	ARG0:1|ARG2:3|ARG1:5	ARG0:1-1|ARG2:3-3|ARG1:4-5
3	Bob	2	_	_	_
4	a	5	_	_	_
5	book	2	_	_	_
"""
HEADS = """\
# sentence-text: Ada gave Bob a book
1	Ada	_	PROPN	_	_	2	nsubj	_	_	ARG0
2	gave	_	VERB	_	_	0	root	Y	give.01	_
2-3	gaveBob	_	_	_	_	_	_	_	_	_
3	Bob	_	PROPN	_	_	2	iobj	_	_	ARG2
4	a	_	DET	_	_	5	det	_	_	_
5	book	_	NOUN	_	_	2	obj	_	_	ARG1
"""
MISC = """\
1	Ada	_	PROPN	_	_	2	nsubj	_	Framefile=-|Roleset=-|Args=ARG0
2	gave	_	VERB	_	_	0	root	_	Framefile=give|Roleset=give.01|Args=V
3	Bob	_	PROPN	_	_	2	iobj	_	Framefile=-|Roleset=-|Args=ARG2
4	a	_	DET	_	_	5	det	_	Framefile=-|Roleset=-|Args=_
5	book	_	NOUN	_	_	2	obj	_	SpaceAfter=No|Framefile=-|Roleset=-|Args=ARG1
"""


def read(path, text):
    path.write_text(text)
    return task_class("semantic-roles").read_examples(path)


@pytest.mark.parametrize("text", [CONLL_2012, CONLL_2005, CONLL_2012.replace(" ", "\t")])
def test_roles_in_brackets(tmp_path, text):
    assert tuple(read(tmp_path / "a.conll", text)) == WANT


@pytest.mark.parametrize(("text", "line"), [(PLUS, 3), (HEADS, 2), (MISC, 1)], ids=["plus", "heads", "misc"])
def test_columns_of_universal_propositions(tmp_path, text, line):
    assert read(tmp_path / "a.conllu", text) == [RolesText("Ada gave Bob a book", (GIVE,), line)]


def test_heads_in_named_columns(tmp_path):
    text = "\n".join("\t".join(line.split("\t")[:5]) for line in PLUS.replace(" UP:ARGSPANS", "").splitlines()) + "\n"
    assert read(tmp_path / "a.conllup", text)[0].predicates == (GIVE,)


def test_a_word_belongs_to_the_nearest_head_that_is_not_beyond_the_predicate(tmp_path):
    """In "the book that Ada gave", gave is below book, and the second role is within the first."""
    text = """\
1	the	_	DET	_	_	2	det	_	_	_
2	book	_	NOUN	_	_	0	root	_	_	ARG1
3	that	_	PRON	_	_	5	obj	_	_	R-ARG1
4	Ada	_	PROPN	_	_	5	nsubj	_	_	ARG0
5	gave	_	VERB	_	_	2	acl	Y	give.01	_
6	away	_	ADV	_	_	5	advmod	_	_	_
"""
    (found,) = read(tmp_path / "a.conllu", text)
    assert found.predicates[0].roles == (Span(0, 8, "ARG1"), Span(9, 13, "R-ARG1"), Span(14, 17, "ARG0"))


def test_parts_of_a_predicate_are_left_out_and_told(tmp_path, logged):
    text = "She (ARG0*)\ngave (V*)\nit (ARG1*)\naway (C-V*)\n"
    text = "\n".join(f"{word} - {role}" for word, role in map(str.split, text.splitlines())) + "\n"
    (found,) = read(tmp_path / "a.conll", text)
    assert found.predicates == (Predicate(4, 8, None, (Span(0, 3, "ARG0"), Span(9, 11, "ARG1"))),)
    (told,) = logged()
    assert told.endswith("a.conll: 1 predicates have a second part (C-V), which is left out (first: "
                         f"{tmp_path}/a.conll:1)")  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CONLL_2005.replace("(ARG1*", "(ARG1"), "4: expected a role such as (ARG0*). Received: '(ARG1'"),
        (CONLL_2005.replace("(ARG1*", "(A(B*"), "4: expected roles that do not overlap. Received: '(A(B*'"),
        (CONLL_2005.replace("(ARG2*)", "*)"), "3: expected roles that do not overlap. Received: '*)'"),
        (
            CONLL_2005.replace("-     *)", "-     *"),
            "4: expected an end of the role ARG1. Received: the end of the sentence",
        ),
        (CONLL_2005.replace("a     DT  *", "a     DT"), "4: expected 6 columns, as in its sentence. Received 5"),
        ("- *\ngive (V*)\n", "1: expected words in the first column. Received: lines without words"),
        (
            PLUS.replace("ARG1:4-5", "ARG1:3-5"),
            "3: expected roles of 'gave' that do not overlap. Received: ARG2 from 9 to 12, and ARG1 from 9 to 19",
        ),
        (PLUS.replace("ARG1:4-5", "ARG1:4-9"), "4: expected a role such as A0:1-3. Received: 'ARG1:4-9'"),
        (
            PLUS.replace("FORM", "LEMMA"),
            "3: expected a column FORM with the words. Received: a file without one; add its treebank's",
        ),
        (
            PLUS.replace("UP:PRED", "PRED"),
            "3: expected columns UP:PRED and UP:ARGSPANS. Received: ID FORM HEAD PRED UP:ARGHEADS UP:ARGSPANS",
        ),
        (
            HEADS.replace("\tgive.01\t", "\t_\t"),
            "2: expected 10 columns and one for each of the 0 predicates. Received 11",
        ),
        (
            MISC.replace("Args=ARG2", "Args=ARG2/_"),
            "3: expected Args with a part for each of the 1 predicates. Received: 'ARG2/_'",
        ),
    ],
)
def test_sentences_that_cannot_be(tmp_path, text, message):
    path = tmp_path / "a.conll"
    with pytest.raises(DataError) as caught:
        read(path, text)
    assert str(caught.value) == f"{path}:{message}"


def test_words_alone_are_enough_for_predictions(tmp_path):
    path = tmp_path / "a.conll"
    path.write_text("Ada\nleft\n\nShe\n")
    found = task_class("semantic-roles").read_examples(path, targets=False)
    assert found == [RolesText("Ada left", None, 1), RolesText("She", None, 4)]


def test_real_columns_are_the_objects_beside_them(data):
    """The columns and the objects of EWT's PropBank say the same, except for predicates of several words."""
    folder = data / "ewt_propbank"
    if not folder.is_dir():
        pytest.skip("needs ewt_propbank")
    task = task_class("semantic-roles")
    columns, objects = (task.read_examples(folder / name) for name in ("dev.conll", "dev.jsonl"))

    def told(example):
        """The words, which no space between them changes."""

        def words(start, end):
            return "".join(example.text[start:end].split())

        roles = [
            [(role.label, words(role.start, role.end)) for role in predicate.roles if role.label != "C-V"]
            for predicate in example.predicates
        ]
        return words(0, len(example.text)), roles

    assert [told(each) for each in columns] == [told(each) for each in objects]
    pairs = [
        pair
        for given, wanted in zip(columns, objects, strict=True)
        for pair in zip(given.predicates, wanted.predicates, strict=True)
    ]
    assert len(pairs) == 4906
    assert sum(given.sense != wanted.sense for given, wanted in pairs) == 2
