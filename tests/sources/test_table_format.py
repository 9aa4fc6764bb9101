import pytest

from kbert.errors import DataError, UsageError
from kbert.sources.table_format import TableFormat


def test_options_say_the_format():
    options = {"delimiter": "tab", "encoding": "latin-1", "quoting": None, "label_separator": "|"}
    assert TableFormat.from_options(options) == TableFormat("\t", "latin-1", "auto")
    assert TableFormat.from_options(None) == TableFormat(None, "utf-8", "auto")
    assert TableFormat("\\t").delimiter == "\t"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"delimiter": ""}, r"^the delimiter must be a character such as ; or tab, .* Received: ''$"),
        ({"delimiter": '"'}, r"^the delimiter must be a character such as ; or tab, and no quotation mark\. "),
        ({"encoding": "latin1000"}, r"^encoding must be one that Python knows, .* Received: 'latin1000'$"),
        ({"encoding": "hex"}, r"^encoding must be one that Python knows, .* Received: 'hex'$"),
        ({"quoting": "some"}, r"^quoting must be one of auto, csv, none\. Received: 'some'$"),
    ],
)
def test_formats_that_cannot_be(settings, message):
    with pytest.raises(UsageError, match=message):
        TableFormat(**settings)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030"])
def test_lines_in_any_encoding(tmp_path, encoding):
    path = tmp_path / "a.txt"
    path.write_bytes("好，是\r\nsehr schön\n\nlast".encode(encoding))
    assert list(TableFormat(encoding=encoding).lines(path)) == ["好，是", "sehr schön", "", "last"]


def test_bytes_of_another_encoding(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("ab\n".encode("utf-16") + b"\x00")
    with pytest.raises(DataError, match=r"a\.txt:2: expected utf-16 text \("):
        list(TableFormat(encoding="utf-16").lines(path))
