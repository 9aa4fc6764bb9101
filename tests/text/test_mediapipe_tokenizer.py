import pytest

from kbert.errors import UsageError
from kbert.text.mediapipe_tokenizer import check_uncased, mediapipe_tokenizer
from kbert.text.settings import AddedToken, TokenizerSettings
from kbert.text.tokenizer import Tokenizer
from kbert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

ACCENTS = Vocabulary([*SPECIAL_TOKENS, "cafe", "café", "é", "##é", "x", "##x"])


def test_accents_are_kept_and_only_a_to_z_is_lower_cased():
    assert Tokenizer(ACCENTS).ids("Café CAFÉ") == [5, 5]
    assert mediapipe_tokenizer(Tokenizer(ACCENTS)).ids("Café CAFÉ") == [6, 1]


def test_words_above_100_bytes_are_unknown():
    tokenizer = mediapipe_tokenizer(Tokenizer(ACCENTS))
    assert tokenizer.ids("é" * 50) == [7] + [8] * 49
    assert tokenizer.ids("é" * 51) == [1]
    assert tokenizer.ids("x" * 100) == [9] + [10] * 99
    assert tokenizer.ids("x" * 101) == [1]


def test_only_the_vocabulary_is_kept():
    """MediaPipe knows neither case, added tokens nor special tokens in text."""
    tokenizer = Tokenizer(
        ACCENTS,
        lowercase=False,
        chinese_characters=False,
        special_tokens_in_text=True,
        added_tokens=(AddedToken("covid"),),
        never_split=("x.x",),
        max_word_length=7,
        model_max_length=64,
    )
    changed = mediapipe_tokenizer(tokenizer)
    assert changed.vocabulary == tokenizer.vocabulary
    assert changed.settings == TokenizerSettings(normalization="mediapipe", max_word_length=100, model_max_length=64)
    assert changed.ids("covid [MASK] x.x") == [1, 1, 1, 1, 9, 1, 9]


def test_a_changed_tokenizer_does_not_change_again(vocabulary):
    once = mediapipe_tokenizer(Tokenizer(vocabulary))
    assert mediapipe_tokenizer(once).settings == once.settings


def test_cased_models_are_refused(vocabulary):
    check_uncased(Tokenizer(vocabulary), "stop")
    with pytest.raises(UsageError, match=r"^expected an uncased model, .* Received: a cased model; add --force$"):
        check_uncased(Tokenizer(vocabulary, lowercase=False), "add --force")
