import inspect
import re

from kbert import errors
from kbert.options import OptionError
from kbert.serving import request_error


def docstring_tree():
    """{class: class above it} as the docstring draws it."""
    parents, stack = {}, []
    for line in errors.__doc__.splitlines():
        match = re.match(r"( *(?:│   )*(?:[├└]── )?)([A-Z]\w+Error)\b", line)
        if match and line.startswith("    "):
            depth = (len(match[1]) - 4) // 4
            stack[depth:] = [match[2]]
            parents[match[2]] = stack[depth - 1] if depth else "Exception"
    return parents


def test_docstring_draws_the_tree():
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass)] + [request_error.RequestError, OptionError]
    actual = {c.__name__: c.__bases__[0].__name__ for c in classes}
    assert docstring_tree() == actual
    assert len(actual) == 15


def test_exit_codes():
    assert (errors.KbertError.exit_code, errors.DataError.exit_code, errors.UsageError.exit_code) == (1, 1, 2)


def test_data_error_says_where():
    assert str(errors.DataError("wrong")) == "wrong"
    assert str(errors.RecordError("wrong", "a.gz")) == "a.gz: wrong"
    error = errors.VocabularyError("wrong", "vocab.txt", 3)
    assert str(error) == "vocab.txt:3: wrong"
    assert (error.path, error.line) == ("vocab.txt", 3)
