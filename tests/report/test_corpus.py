from html.parser import HTMLParser

from kbert.corpus.reading.statistics import MaskedExample, read_statistics
from kbert.report.corpus import corpus_report


class Balanced(HTMLParser):
    """Checks that each element that is opened is closed."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_report(corpus):
    statistics, examples = read_statistics(corpus, examples=2)
    text = corpus_report("<name>", statistics, examples, seed=3)
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []
    assert "<h1>Corpus &lt;name&gt;</h1>" in text
    assert f'<td>Examples</td><td class="number">{statistics.examples}</td>' in text
    assert text.count("<rect") == 16
    assert "The records hold no masks: these are drawn as training draws them in its first epoch with seed 3." in text
    assert text.count('class="example"') == 2
    for token in statistics.never_used():
        assert f"<code>{token}</code>" in text
    assert "<script" not in text


def test_a_part_is_said(corpus):
    statistics, _ = read_statistics(corpus, limit=4)
    text = corpus_report("c", statistics, [], seed=0)
    assert f"4 read of {statistics.total}" in text
    assert "<h2>Examples</h2>" not in text


def test_examples_are_escaped(corpus):
    statistics, _ = read_statistics(corpus, limit=1)
    example = MaskedExample(
        ["[CLS]", "<b>", "[MASK]", "&", "x", "[SEP]"], {2: "<i>", 3: "&", 4: "y"}, None, "random next text"
    )
    text = corpus_report("c", statistics, [example], seed=0)
    assert (
        '[CLS] &lt;b&gt; <mark class="mask">[MASK]<small> &lt;i&gt;</small></mark> <mark class="kept">&amp;</mark> '
        '<mark class="random">x<small> y</small></mark> [SEP]'
    ) in text
    assert "random next text" in text
