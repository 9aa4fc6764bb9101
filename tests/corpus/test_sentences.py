import time

import pytest

from kbert.corpus.sentences import split_sentences


@pytest.mark.parametrize(
    "sentences",
    [
        ["The cat sat.", "The dog ran!", "Why?", "No."],
        ["Dr. Smith met Mr. J. K. Rowling in the U.S. Army.", "She left."],
        ["It cost $3.50 at e.g. the mill vs. 5 elsewhere.", "Fine."],
        ["See figs. 3 and 4, vol. II, no. 7.", "They show it."],
        ["He lived in St. Louis, etc. until Jan. 5.", "Then he moved."],
        ['He said "Go away."', "Then he went."],
        ['"Go away!"', "He left."],
        ["(It was late.)", "He left."],
        ["“Why?”", "“Because.”"],
        ["He stopped ... and went on.", "So it was."],
        ["What?!", "Really."],
        ["It ended in 1990.", "2000 was next."],
        ["iPhone sales rose. iPad sales fell."],  # a small letter begins no sentence
        ["我来了。", "你呢？", "好！", "他说：“走吧。”", "他走了"],
        ["これは猫です。", "犬ではない。"],
        ["यह बिल्ली है।", "वह कुत्ता है।"],
        ["هل هذا قط؟", "نعم"],
        ["Élan vital.", "Ça va?", "¿Qué?", "Sí."],
        ["no end"],
        ["..."],
        [],
    ],
)
def test_splits(sentences):
    """Joined by spaces, they come apart again."""
    assert list(split_sentences(" ".join(sentences))) == sentences


def test_chinese_needs_no_spaces():
    assert list(split_sentences("我来了。你呢？！好…他说：“走吧。”他走了。")) == [
        *["我来了。", "你呢？！", "好…", "他说：“走吧。”", "他走了。"]
    ]


def test_surrounding_white_space_goes_and_nothing_else_does():
    text = "  One.\tTwo!  Three \u3000。 Four.A "
    assert list(split_sentences(text)) == ["One.", "Two!", "Three \u3000。", "Four.A"]
    assert "".join("".join(split_sentences(text)).split()) == "".join(text.split())


@pytest.mark.parametrize("mark", [".", "!", "?!", "。?", '."', ". ", "A. ", "…"])
def test_time_is_linear(mark):
    """A line of a hundred thousand marks is met in real text."""
    start = time.process_time()
    assert list(split_sentences(mark * 100_000 + "x"))
    assert time.process_time() - start < 5
