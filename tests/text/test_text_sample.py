import pytest

from kbert.sources.source import Source
from kbert.text.normalization import Normalizer
from kbert.text.replacement_table import ReplacementTable
from kbert.text.text_sample import describe_long_words, sample_text

TEXTS = {
    "Thai": ("ที่นี่มีแมวสีดำ กำลังนั่งอยู่", "'ที่นี่มีแมวสีดำ' becomes 'ทนมแมวสดำ'"),
    "Devanagari": ("बिल्ली चटाई पर बैठी थी", "'बिल्ली' becomes 'बिलली'"),
    "Arabic": ("وركض الكلب إلى المنزل", "'إلى' becomes 'الى'"),
    "Hiragana": ("ねこが すわった", "'ねこが' becomes 'ねこか'"),
    "Katakana": ("ゴジラ が", "'ゴジラ' becomes 'コシラ'"),
    "Cyrillic": ("мой чай стоит тут", "'мой' becomes 'мои'"),
    "Bengali": ("বিড়ালটি বসেছিল", "'বিড়ালটি' becomes 'বিডালটি'"),
    "Latin": ("Tiếng Việt mất dấu thì đổi nghĩa", "'Tiếng' becomes 'tieng'"),
}


def sample(tmp_path, *texts, strip_accents=None, longest=200):
    for number, text in enumerate(texts):
        (tmp_path / f"{number:03}.txt").write_text(text + "\n", encoding="utf-8")
    normalizer = Normalizer(True, table=ReplacementTable(True, strip_accents=strip_accents))
    return sample_text(Source([tmp_path]), normalizer, max_word_length=longest)


@pytest.mark.parametrize("script", TEXTS)
def test_marks_that_tell_words_apart(tmp_path, script):
    text, example = TEXTS[script]
    assert f"{script} ({example})" in sample(tmp_path, text).describe_lost_marks()
    assert sample(tmp_path, text, strip_accents=False).describe_lost_marks() == ""


@pytest.mark.parametrize(
    "text",
    [
        "Le chat était assis près de la fenêtre",
        "Η γάτα κάθισε στο χαλί",
        "고양이가 매트 위에 앉았다",
        "猫坐在垫子上。",
        "החתול ישב על השטיח",
        "",
        "a thousand English words " * 200 + "ที่",  # a foreign word does not decide about a text
    ],
)
def test_marks_that_are_stripped_on_purpose(tmp_path, text):
    assert sample(tmp_path, text).lost_marks == {}


def test_files_are_looked_at_evenly(tmp_path):
    assert sample(tmp_path, *["plain text"] * 40, "ที่นี่มี").lost_marks == {}
    assert list(sample(tmp_path, *["ที่นี่มี"] * 40, "plain text").lost_marks) == ["Thai"]


def test_a_part_that_cannot_be_read_is_passed_over(tmp_path):
    (tmp_path / "bad.txt").write_bytes(b"caf\xe9\n")
    assert list(sample(tmp_path, TEXTS["Thai"][0]).lost_marks) == ["Thai"]


def test_long_words(tmp_path):
    thai = "แมวดำกำลังนั่งอยู่บนเสื่อ" * 12
    found = sample(tmp_path, "short words " * 30, thai, strip_accents=False)
    assert found.long_word == thai
    assert sample(tmp_path, thai, longest=400).long_word is None
    assert describe_long_words(7, 200, thai) == (
        "7 words are longer than 200 characters, such as 'แมวดำกำลังนั่งอยู่บน…' with 300 characters. A word ends at "
        "white space or punctuation; put spaces between the words of a script that is written without them"
    )
    assert describe_long_words(1, 100, None).startswith("1 word is longer than 100 characters. A word ends")


def test_chinese(tmp_path):
    assert sample(tmp_path, "猫坐在", "abc").chinese == 0.5
    assert sample(tmp_path, "", "").chinese == 0
