"""The settings of the tokenizer are passed on from vocabulary training to the corpus, its manifest and its reader."""

import dataclasses
import json
import logging

import pytest

from kbert.corpus.building.build import build_corpus
from kbert.corpus.reading.open_source import open_source
from kbert.corpus.records.manifest import Manifest
from kbert.errors import RecordError, UsageError
from kbert.model_folder.tokenizer import tokenizer_from
from kbert.text.settings import AddedToken, TokenizerSettings
from kbert.text.tokenizer import Tokenizer
from kbert.text.tokenizer_files.writing import save_tokenizer
from kbert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from kbert.text.vocabulary_training import train_tokenizer

THAI = "ที่ นี่ มี แมว\nสี ดำ ที่ นี่\n\nมี แมว สี\nดำ ที่ มี\n"


@pytest.fixture
def thai(tmp_path):
    path = tmp_path / "thai.txt"
    path.write_text(THAI * 3, encoding="utf-8")
    return path


def build(tmp_path, text, vocab, **options):
    folder = tmp_path / f"corpus{len(list(tmp_path.glob('corpus*')))}"
    build_corpus([text], vocab=vocab, output=folder, **{"sequence_length": 16, **options})
    return folder


def tokens_of(folder):
    source = open_source(folder)
    ids = {index for part in source.parts for index in source.read(part).columns["input_word_ids"].values.tolist()}
    return {source.vocabulary[index] for index in ids}


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_from_training_to_the_corpus(thai, tmp_path, caplog):
    tokenizer = train_tokenizer([thai], size=60, strip_accents=False, minimum_frequency=1)
    save_tokenizer(tokenizer, tmp_path)
    for vocab in (tmp_path, tokenizer):
        corpus = build(tmp_path, thai, vocab)
        assert open_source(corpus).tokenizer.settings == TokenizerSettings(strip_accents=False)
        assert {"ที่", "นี่", "ดำ"} <= tokens_of(corpus)
        assert tokenizer_from(corpus).settings == TokenizerSettings(strip_accents=False)  # a corpus as --vocab
    tokenizer.vocabulary.save(tmp_path / "alone.txt")
    assert "ที่" in tokens_of(build(tmp_path, thai, tmp_path / "alone.txt", strip_accents=False))
    assert warnings(caplog) == []


def test_marks_that_are_lost_are_told(thai, tmp_path, caplog):
    tokenizer = train_tokenizer([thai], size=60, minimum_frequency=1)
    assert not {"ที่", "นี่"} & set(tokenizer.vocabulary)
    expected = (
        "lower-casing strips accents, and with them vowel signs and other marks of Thai ('ที่' becomes 'ท'); add "
        "--keep-accents to keep them, to `kbert vocab train` and `kbert corpus build` alike"
    )
    assert warnings(caplog) == [expected]
    caplog.clear()
    tokenizer.vocabulary.save(tmp_path / "vocab.txt")
    build(tmp_path, thai, tmp_path / "vocab.txt")
    assert warnings(caplog) == [expected]
    caplog.clear()
    kept = train_tokenizer([thai], size=60, strip_accents=False, minimum_frequency=1)
    kept.vocabulary.save(tmp_path / "kept.txt")
    build(tmp_path, thai, tmp_path / "kept.txt")
    assert any("accents in " in line and "'ที่'" in line and "add --keep-accents" in line for line in warnings(caplog))


def test_all_settings_of_a_model_come_along(tmp_path, vocabulary):
    """And tokens that are added behind vocab.txt, behind blank lines of it too, are found in the text."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "vocab.txt").write_text("".join(f"{token}\n" for token in vocabulary) + "\n\n")
    config = {"do_lower_case": False, "never_split": ["the."], "tokenizer_class": "BertTokenizer"}
    (model / "tokenizer_config.json").write_text(json.dumps(config))
    (model / "added_tokens.json").write_text('{"Covid": 25}')
    text = tmp_path / "text.txt"
    text.write_text("the cat sat Covid\nthe. dog ran\n\nthe mat Covid\nthe. dog\n")
    corpus = build(tmp_path, text, model)
    source = open_source(corpus)
    settings = tokenizer_from(model).settings
    assert source.tokenizer.settings == settings == Manifest.load(corpus).tokenizer
    assert (settings.lowercase, settings.never_split) == (False, ("the.",))
    assert settings.added_tokens == (AddedToken("Covid", normalized=True),)
    assert source.vocabulary.ids["Covid"] == 25 == len(source.vocabulary) - 1
    assert "Covid" in tokens_of(corpus)
    assert {"the", "."}.isdisjoint(tokens_of(build(tmp_path, text, model)) - {"the"})


def test_workers_and_one_process_give_the_same(tmp_path, corpus_text, vocabulary):
    tokenizer = Tokenizer(vocabulary, lowercase=False, added_tokens=[AddedToken("cat sat")])
    folders = [build(tmp_path, corpus_text, tokenizer, workers=workers) for workers in (1, 2)]
    first, second = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders)
    assert first == second
    assert "cat sat" in tokens_of(folders[0])


def test_the_usual_settings_change_no_record(tmp_path, corpus_text, vocab_file, vocabulary):
    folders = [
        build(tmp_path, corpus_text, vocab_file),
        build(tmp_path, corpus_text, vocab_file, strip_accents=True),
        build(tmp_path, corpus_text, Tokenizer(vocabulary, model_max_length=99)),
    ]
    assert len({Manifest.load(folder).fingerprint() for folder in folders}) == 1
    assert {Manifest.load(folder).tokenizer for folder in folders} == {TokenizerSettings()}


def test_a_corpus_of_before_is_read(tmp_path, corpus_text, vocab_file):
    """It holds vocab.txt, and the manifest says whether text was lower-cased, and no more."""
    corpus = build(tmp_path, corpus_text, vocab_file, cased=True)
    values = json.loads((corpus / "manifest.json").read_text())
    assert values["lowercase"] is False
    del values["settings"]["tokenizer"]
    (corpus / "manifest.json").write_text(json.dumps(values))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (corpus / name).unlink()
    source = open_source(corpus)
    assert source.tokenizer.settings == TokenizerSettings(lowercase=False)
    assert len(source.read(source.parts[0])) == source.manifest.examples


def test_changed_files_are_refused(tmp_path, corpus_text, vocab_file):
    corpus = build(tmp_path, corpus_text, vocab_file)
    path = corpus / "tokenizer.json"
    values = json.loads(path.read_text())
    values["normalizer"]["lowercase"] = False
    path.write_text(json.dumps(values))
    with pytest.raises(RecordError, match=r"the tokenizer's files to hold the settings of manifest\.json. They have"):
        open_source(corpus)


@pytest.mark.parametrize(
    ("tokenizer", "message"),
    [
        ({"lowercase": 1}, "must be true or false"),
        ({"surprise": 1}, "surprise"),
        ({"max_word_length": 0}, "invalid setting: max_word_length must be at least 1"),
    ],
)
def test_invalid_settings_in_a_manifest(corpus, tokenizer, message):
    values = json.loads((corpus / "manifest.json").read_text())
    values["settings"]["tokenizer"] = dataclasses.asdict(TokenizerSettings()) | tokenizer
    (corpus / "manifest.json").write_text(json.dumps(values))
    with pytest.raises(RecordError, match=message):
        Manifest.load(corpus)


def test_a_resumed_build_needs_the_same_settings(corpus_text, vocab_file, tmp_path):
    options = {"vocab": vocab_file, "output": tmp_path / "c", "sequence_length": 16}
    build_corpus([corpus_text], **options)
    build_corpus([corpus_text], **options, resume=True)
    with pytest.raises(UsageError, match=r"settings\.tokenizer\.strip_accents=None. Received: .*=False; resume with"):
        build_corpus([corpus_text], **options, resume=True, strip_accents=False)


# === What does not fit together ===


def chinese(tmp_path, text):
    path = tmp_path / "text.txt"
    path.write_text(text, encoding="utf-8")
    vocab = tmp_path / "vocab.txt"
    Vocabulary([*SPECIAL_TOKENS, *sorted({c for c in text if not c.isspace()}), "cat"]).save(vocab)
    return path, vocab


def test_whole_words_of_chinese_need_a_list(tmp_path, caplog):
    text, vocab = chinese(tmp_path, "猫坐在垫子上\n\n狗跑得很快\n")
    build(tmp_path, text, vocab, whole_words=True)
    (warning,) = warnings(caplog)
    assert warning.startswith("--whole-words has no effect on Chinese characters, which are 100% of the text")
    assert warning.endswith("pass a word list with --word-list")
    caplog.clear()
    (tmp_path / "words.txt").write_text("垫子\n很快\n", encoding="utf-8")
    listed = build(tmp_path, text, vocab, whole_words=True, word_list=tmp_path / "words.txt")
    assert Manifest.load(listed).counts["word_continuations"] == 2
    build(tmp_path, text, vocab)
    assert warnings(caplog) == []
    (tmp_path / "words.txt").write_text("苹果\n猫\n", encoding="utf-8")
    build(tmp_path, text, vocab, whole_words=True, word_list=tmp_path / "words.txt")
    assert warnings(caplog)[0].startswith("no word of --word-list occurs in the text")


def test_long_words_are_named_and_not_the_vocabulary(tmp_path, caplog):
    thai = "แมวดำกำลังนั่งอยู่บนเสื่อ" * 12
    text, vocab = chinese(tmp_path, f"{thai}\n{thai}\n\n{thai}\n")
    corpus = build(tmp_path, text, vocab, strip_accents=False)
    assert warnings(caplog) == [
        "each word that is too long is one [UNK]: 3 words are longer than 200 characters, such as "
        "'แมวดำกำลังนั่งอยู่บน…' with 300 characters. A word ends at white space or punctuation; put spaces between the "
        "words of a script that is written without them"
    ]
    counts = Manifest.load(corpus).counts
    assert (counts["long_words"], counts["unknown"]) == (3, 3)
    caplog.clear()
    spaced, vocab = chinese(tmp_path, f"{thai[:50]} {thai[50:90]}\n\n{thai[:60]}\n")
    assert "long_words" not in Manifest.load(build(tmp_path, spaced, vocab, strip_accents=False)).counts
    assert not any("too long" in line for line in warnings(caplog))
