import doctest
import importlib
import pkgutil

import pytest

from kbert.text import personal_data
from kbert.text.personal_data.catalogue import DETECTORS
from kbert.text.personal_data.masker import Found, Masker
from kbert.text.personal_data.replacement import keyed_hash

# The numbers below are made up, or are those that documentation uses as examples.
MASKED = [
    ("Write to ann.b+c@mail.example.org.", "Write to [EMAIL]."),
    ("ann(at)example.org, jürgen@müller.de", "[EMAIL], [EMAIL]"),
    ("请写信到zhang@example.cn。", "请写信到[EMAIL]。"),
    ("clone https://ann:secret@example.org/a?b=c now", "clone [URL] now"),
    ("from 203.0.113.77, and 2001:db8::ff00:42:8329", "from [IP], and [IP]"),
    ("the IP 8.8.8.8:53", "the IP [IP]:53"),
    ("+49 (0) 30 1234567 and +1-212-555-0123x45", "[PHONE] and [PHONE]"),
    ("(212) 555-0123 or 212.555.0123", "[PHONE] or [PHONE]"),
    ("Call me at 2125550123.", "Call me at [PHONE]."),
    ("(030) 1234567, 0171 2345678, 030/123456-12", "[PHONE], [PHONE], [PHONE]"),
    ("电话13912345678。", "电话[PHONE]。"),
    ("139 1234 5678 或 86-13912345678", "[PHONE] 或 [PHONE]"),
    ("4111 1111 1111 1111 and 378282246310005", "[CARD] and [CARD]"),
    ("to DE89 3704 0044 0532 0130 00 BIC COBADEFF", "to [IBAN] BIC COBADEFF"),
    ("GB82WEST12345698765432", "[IBAN]"),
    ("身份证号11010519491231002X已登记", "身份证号[CHINESE_ID]已登记"),
    ("SSN 123-45-6789, SSN: 123456789", "SSN [SSN], SSN: [SSN]"),
]
KEPT = [
    "4111 1111 1111 1112",  # check digit
    "DE88 3704 0044 0532 0130 00",
    "110105194912310021",
    "123-45-67890, 000-12-3456, 123456789",
    "Version 10.20.30.40, section 1.2.3.4, 127.0.0.1, 256.1.1.1",
    "std::map, a::b, 12:30:45, ::1",
    "ISBN 978-3-16-148410-0, ISBN 0-306-40615-2",
    "in 1914-1918, on 2024-01-02 or 02/03/2004, pp. 100-200",
    "1,234,567 people, $1,234.50, 3.14159265358979",
    "git@github.com:owner/name, @ann, a@b",
    "+1500 points, 2125550123 items, 1011 1001 0010 0111 0000 0000",
    "the group 034 (0341-0346)",
]


@pytest.mark.parametrize(("text", "expected"), MASKED)
def test_personal_data_is_replaced(text, expected):
    assert Masker().masked(text) == expected


@pytest.mark.parametrize("text", KEPT)
def test_other_text_stays(text):
    assert Masker().masked(text) == text


def test_only_the_chosen_detectors_are_used_and_counted():
    masker = Masker(["phone"])
    assert masker.masked("a@b.org +49 30 1234567, +49 30 7654321") == "a@b.org [PHONE], [PHONE]"
    assert masker.counts == {"phone": 2}


def test_hashes_are_equal_for_equal_values_and_depend_on_the_salt():
    masker = Masker(replace=keyed_hash(b"0" * 32))
    first, second, third = masker.masked("+49 30 1234567; +49-30-1234567; +49 30 7654321").split("; ")
    assert first == second != third
    assert first.startswith("[PHONE_")
    assert len(first) == len("[PHONE_]") + 12
    assert Masker(replace=keyed_hash(b"1" * 32)).masked("+49 30 1234567") != first


def test_spans_of_models_are_masked_outside_of_what_detectors_find():
    text = "Ann Lee ann@example.org (Berlin)"
    spans = [Found(0, 23, "person"), Found(25, 31, "place")]
    masker = Masker()
    assert masker.masked(text, spans) == "[PERSON] [EMAIL] ([PLACE])"
    assert masker.counts == {"person": 1, "email": 1, "place": 1}


def test_hints_match_whatever_the_detectors_find():
    for text, _ in MASKED:
        for detector in DETECTORS.values():
            if list(detector.find(text)):
                assert detector.hint.search(text)


def test_long_lines_without_data_take_little_time():
    """No pattern goes back over the same text again and again (the time would grow with the square of the length)."""
    masker = Masker()
    for piece in ("a", "1", "1 ", "a.", "0-", "a@", "1:", "+1 ", "://", "(0", "DE12"):
        text = piece * 20_000
        masker.masked(text)


@pytest.mark.parametrize("module", [each.name for each in pkgutil.iter_modules(personal_data.__path__)])
def test_examples_run(module):
    found = importlib.import_module(f"{personal_data.__name__}.{module}")
    assert doctest.testmod(found).failed == 0
