import dataclasses
import json
import logging

import pytest

from kbert.errors import KbertError, UsageError, VocabularyError
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.tokenizer import load_model_tokenizer, tokenizer_from
from kbert.text.settings import AddedToken
from kbert.text.tokenizer import Tokenizer
from kbert.text.tokenizer_files.writing import save_tokenizer
from kbert.text.vocabulary import Vocabulary

SETTINGS = {
    "lowercase": True,
    "strip_accents": False,
    "chinese_characters": False,
    "never_split": ["c++"],
    "added_tokens": [AddedToken("covid", normalized=True)],
    "special_tokens_in_text": True,
    "max_word_length": 100,
}


@pytest.fixture
def folder(tmp_path, vocabulary):
    (tmp_path / "model").mkdir()
    save_tokenizer(Tokenizer(vocabulary, **SETTINGS), tmp_path / "model")
    return tmp_path / "model"


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_a_folder_brings_all_its_settings(folder, vocabulary):
    tokenizer = tokenizer_from(folder)
    assert tokenizer.settings == Tokenizer(vocabulary, **SETTINGS).settings
    assert tokenizer.vocabulary.tokens == (*vocabulary, "covid")
    assert tokenizer_from(tokenizer) is tokenizer


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"cased": True}, "--cased"),
        ({"strip_accents": False}, "--keep-accents"),
        ({"strip_accents": True}, "--strip-accents"),
    ],
)
def test_options_beside_a_folder_are_refused(folder, options, named):
    with pytest.raises(UsageError, match=f"has its own settings for case and accents. Received: {named}; leave it out"):
        tokenizer_from(folder, **options)
    with pytest.raises(UsageError, match="leave out cased and strip_accents"):
        tokenizer_from(tokenizer_from(folder), **options)


def test_a_file_takes_the_options(vocab_file, tmp_path, caplog):
    assert tokenizer_from(vocab_file).settings == Tokenizer(vocab_file).settings
    settings = tokenizer_from(vocab_file, cased=True, strip_accents=True).settings
    assert (settings.lowercase, settings.strip_accents) == (False, True)
    assert not tokenizer_from(vocab_file, strip_accents=False).settings.strips_accents
    assert warnings(caplog) == []
    with pytest.raises(VocabularyError, match="does not exist"):
        tokenizer_from(tmp_path / "absent.txt")


def test_the_vocab_txt_of_a_folder_with_other_settings(folder, caplog):
    tokenizer_from(folder / "vocab.txt")
    assert warnings(caplog) == [
        f"{folder}/tokenizer_config.json says strip_accents=False, chinese_characters=False, never_split=['c++'], and "
        f"{folder}/vocab.txt is used with strip_accents=True, chinese_characters=True, never_split=[]; give --vocab "
        f"{folder} to use the folder's settings"
    ]


def test_entries_that_no_text_gives(tmp_path, vocabulary, caplog):
    Vocabulary([*vocabulary, "Cat", "ที่"]).save(tmp_path / "vocab.txt")
    tokenizer_from(tmp_path / "vocab.txt", cased=True)
    assert warnings(caplog) == []
    for given, way_out in (
        (tmp_path / "vocab.txt", "add --cased"),
        (tmp_path, "if they are wrong, write the"),
    ):
        caplog.clear()
        tokenizer_from(given)
        capitals, accents = warnings(caplog)
        assert f"capitals in 1 of the 25 entries of {given} ('Cat'): no text ever gives these" in capitals
        assert way_out in capitals
        assert f"accents in 1 of the 25 entries of {given} ('ที่')" in accents


def test_few_of_many_entries_are_only_noted(tmp_path, vocabulary, caplog):
    Vocabulary([*vocabulary, *(f"w{number}" for number in range(3000)), "Cat"]).save(tmp_path / "vocab.txt")
    with caplog.at_level(logging.INFO, "kbert"):
        tokenizer_from(tmp_path / "vocab.txt")
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert "capitals in 1 of the 3,024 entries" in caplog.text


def test_a_model_with_a_cased_vocab_txt_alone(pretrained, tmp_path, caplog):
    bundle = Bundle.load(pretrained)
    bundle.tokenizer = Tokenizer(Vocabulary(["Cat" if t == "cat" else t for t in bundle.tokenizer.vocabulary]))
    bundle.save(tmp_path, "card")
    Bundle.load(tmp_path)
    assert warnings(caplog) == []
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).unlink()
    Bundle.load(tmp_path)
    (warning,) = warnings(caplog)
    assert f"capitals in 1 of the 23 entries of {tmp_path} ('Cat')" in warning
    assert f'such as {{"do_lower_case": false}}, into {tmp_path}/tokenizer_config.json' in warning
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    caplog.clear()
    assert not Bundle.load(tmp_path).tokenizer.lowercase
    assert warnings(caplog) == []


def test_sentence_transformers_in_a_subfolder_lower_case_too(tmp_path, vocabulary):
    part = tmp_path / "0_Transformer"
    part.mkdir()
    save_tokenizer(Tokenizer(vocabulary, lowercase=False), part)
    (part / "sentence_bert_config.json").write_text('{"max_seq_length": 16, "do_lower_case": true}')
    modules = [
        {"idx": 0, "name": "0", "path": "0_Transformer", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text("{}")
    for settings in (load_model_tokenizer(tmp_path).settings, tokenizer_from(str(tmp_path)).settings):
        assert (settings.lowercase, settings.strips_accents) == (True, False)


# === tokenizer.json ===


@pytest.mark.parametrize("name", ["tokenizer.json", "other.json", "tokenizer"])
def test_a_tokenizer_file_brings_its_settings(folder, vocabulary, tmp_path, name, caplog):
    path = tmp_path / name
    (folder / "tokenizer.json").rename(path)
    tokenizer = tokenizer_from(path)
    # tokenizer.json has no place for `never_split`, nor for the longest input.
    assert tokenizer.settings == Tokenizer(vocabulary, **{**SETTINGS, "never_split": []}).settings
    assert tokenizer.vocabulary.tokens == (*vocabulary, "covid")
    assert tokenizer.vocabulary.piece_count == len(vocabulary)
    assert not warnings(caplog)


def test_a_tokenizer_file_alone_says_what_it_says(tmp_path, vocabulary):
    for lowercase, strip_accents in ((False, None), (False, True), (True, False), (True, None)):
        expected = Tokenizer(vocabulary, lowercase=lowercase, strip_accents=strip_accents)
        save_tokenizer(expected, tmp_path)
        found = tokenizer_from(tmp_path / "tokenizer.json")
        assert found.settings == dataclasses.replace(expected.settings, special_tokens_in_text=True)
        assert found.ids("thé CÁT Cat") == expected.ids("thé CÁT Cat")


@pytest.mark.parametrize(
    ("options", "named"), [({"cased": True}, "--cased"), ({"strip_accents": False}, "--keep-accents")]
)
def test_options_beside_a_tokenizer_file_are_refused(folder, options, named):
    message = rf"the file .*tokenizer\.json has its own settings for case and accents. Received: {named}; leave it out"
    with pytest.raises(UsageError, match=message):
        tokenizer_from(folder / "tokenizer.json", **options)


def test_a_tokenizer_file_that_differs_from_its_folder(folder, caplog):
    tokenizer_from(folder / "tokenizer.json")
    assert [message.replace(str(folder), "F") for message in warnings(caplog)] == [
        "F/tokenizer_config.json says never_split=['c++'], and F/tokenizer.json is used with never_split=[]; give "
        "--vocab F to use the folder's settings"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "JSON"),
        ('{"do_lower_case": true}', "expected a BERT tokenizer, with model of type WordPiece. Received: None"),
        ('{"model": {"type": "BPE"}}', "expected a BERT tokenizer, with model of type WordPiece. Received: 'BPE'"),
    ],
)
def test_other_json_is_refused(tmp_path, content, message):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(KbertError, match=message):
        tokenizer_from(tmp_path / "a.json")
