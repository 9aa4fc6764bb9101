import dataclasses
import json

import pytest

from kbert.errors import UsageError
from kbert.text.settings import AddedToken, TokenizerSettings, describe_settings, settings_from_dict


@pytest.mark.parametrize(
    ("changes", "differences"),
    [
        ({}, []),
        ({"strip_accents": True}, []),  # as lower-casing does by itself
        ({"strip_accents": False}, ["strip_accents"]),
        ({"lowercase": False}, ["lowercase", "strip_accents"]),
        ({"lowercase": False, "strip_accents": True}, ["lowercase"]),
        ({"chinese_characters": False}, ["chinese_characters"]),
        ({"never_split": ("c++",)}, ["never_split"]),
        ({"normalization": "mediapipe"}, ["normalization", "strip_accents"]),
        ({"special_tokens_in_text": True, "max_word_length": 100, "model_max_length": 8}, []),
        ({"added_tokens": (AddedToken("covid"),)}, []),
    ],
)
def test_differences_are_of_ordinary_text(changes, differences):
    settings = TokenizerSettings(**changes)
    assert settings.differences(TokenizerSettings()) == differences
    assert TokenizerSettings().differences(settings) == differences


def test_described():
    settings = TokenizerSettings(never_split=("b", "a", "b"))
    assert describe_settings(settings, ["strip_accents", "never_split"]) == "strip_accents=True, never_split=['a', 'b']"


@pytest.mark.parametrize(
    ("cased", "strip_accents", "expected"),
    [(False, None, None), (False, True, None), (False, False, False), (True, None, None), (True, False, None)],
)
def test_the_options_have_one_form(cased, strip_accents, expected):
    settings = TokenizerSettings.of_case(cased=cased, strip_accents=strip_accents)
    assert settings == TokenizerSettings(lowercase=not cased, strip_accents=expected)


def test_all_of_them_come_back_from_json():
    settings = TokenizerSettings(
        lowercase=False,
        strip_accents=True,
        added_tokens=(AddedToken("covid", normalized=True),),
        never_split=("c++",),
        max_word_length=100,
    )
    assert settings_from_dict(json.loads(json.dumps(dataclasses.asdict(settings)))) == settings


def test_mediapipe_limits_words_in_bytes_and_keeps_accents():
    settings = TokenizerSettings(normalization="mediapipe")
    assert (settings.max_word_bytes, settings.strips_accents) == (100, False)
    assert TokenizerSettings().max_word_bytes is None
    assert settings_from_dict(json.loads(json.dumps(dataclasses.asdict(settings)))) == settings


def test_settings_that_were_stored_before_normalization_existed_are_of_bert():
    values = dataclasses.asdict(TokenizerSettings())
    del values["normalization"]
    assert settings_from_dict(values).normalization == "bert"


@pytest.mark.parametrize("changes", [{"lowercase": False}, {"strip_accents": True}, {"chinese_characters": False}])
def test_other_settings_contradict_mediapipe(changes):
    with pytest.raises(UsageError, match=r"^MediaPipe lower-cases text, .* with the normalization mediapipe$"):
        TokenizerSettings(normalization="mediapipe", **changes)


def test_an_unknown_normalization_is_refused():
    with pytest.raises(UsageError, match=r"^normalization must be one of bert, mediapipe\. Received: 'nfc'$"):
        TokenizerSettings(normalization="nfc")
