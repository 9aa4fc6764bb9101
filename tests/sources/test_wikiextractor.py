import pytest

from kbert.errors import DataError
from kbert.sources import document
from kbert.sources.settings import SourceSettings
from kbert.sources.source import Source

ARTICLES = """<doc id="12" url="https://en.wikipedia.org/wiki?curid=12" title="Anarchism">
Anarchism

Anarchism is a &lt;philosophy&gt; &amp; movement.

Section::::History.
See &amp;lt; and AT&T.
</doc>
<doc id="25" url="https://en.wikipedia.org/wiki?curid=25" title="The "Best" &amp; More">
The "Best" &amp; More

</doc>

<doc id="39" url="https://en.wikipedia.org/wiki?curid=39" title="Albedo">
Albedo is not the title alone.
</doc>
"""


def read(tmp_path, content, name="wiki_00", **settings):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [(found.lines, found.line) for found in Source([path], SourceSettings(**settings)).documents()]


def test_articles(tmp_path):
    """The title line goes, an article of nothing else too; what was escaped is put back once."""
    assert read(tmp_path, ARTICLES) == [
        (
            (
                "Anarchism is a <philosophy> & movement.",
                "Section::::History.",
                "See &lt; and AT&T.",
            ),
            1,
        ),
        (("Albedo is not the title alone.",), 14),
    ]


def test_json_articles(tmp_path):
    line = '{"id": "12", "revid": "9", "url": "https://en.wikipedia.org/wiki?curid=12", "title": "A", "text": "%s"}\n'
    content = line % "A\\n\\nB &lt; C" + line % "B\\nC" + line % ""
    assert read(tmp_path, content) == [(("B < C",), 1), (("B", "C"), 2)]
    assert Source([tmp_path / "wiki_00"]).parts == [(str(tmp_path / "wiki_00"), "wikiextractor")]


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ('<doc id="1">\na\n', 1, "expected </doc>. The file ends first"),
        ('<doc id="1">\na\n</doc>\n<doc id="2">\n<doc id="3">\n</doc>\n', 4, "this one is not closed"),
        ('<doc id="1">\na\n</doc>\nwords\n', 4, "expected WikiExtractor's <doc …>. Received 'words'"),
        ('<doc id="1">\n</doc>\n{"title": "a"}\n', 3, "expected a field 'text'"),
        ('<doc id="1">\n</doc>\n{"title"\n', 3, "which is not JSON"),
    ],
)
def test_bad_lines_are_named(tmp_path, content, line, message):
    with pytest.raises(DataError) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path / 'wiki_00'}:{line}: ")
    assert message in str(caught.value)


def test_text_within_an_article_is_only_text(tmp_path):
    assert read(tmp_path, '<doc id="1">\n{"a": 1}\n<doc\n</doc> x\n</doc>\n') == [(('{"a": 1}', "<doc", "</doc> x"), 1)]


def test_invalid_lines_can_be_left_out(tmp_path):
    content = b'<doc id="1">\na\n\xff\nb\n</doc>\n'
    with pytest.raises(DataError, match=r"wiki_00:3: .* byte 0xff at byte offset 15;"):
        read(tmp_path, content)
    assert read(tmp_path, content, invalid_utf8="skip") == [(("a", "b"), 1)]


def test_an_article_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(document, "LARGEST_DOCUMENT", 1 << 10)
    with pytest.raises(DataError, match=r"wiki_00:1: .*is a </doc> missing\?"):
        read(tmp_path, '<doc id="1">\n' + "x\n" * 600)
