import logging

import pytest

from kbert.conversion.vocabulary_extension import extend_vocabulary
from kbert.corpus.building.build import build_corpus
from kbert.errors import DataError, UsageError
from kbert.model_folder.bundle import Bundle
from kbert.text.settings import AddedToken, TokenizerSettings
from kbert.text.tokenizer import Tokenizer
from kbert.training.evaluation import evaluate_pretraining
from kbert.training.pretrain import pretrain


@pytest.fixture
def make_model(pretrained, vocabulary, tmp_path):
    """Writes the pretrained model with other settings of the tokenizer; `rows` more rows in its table."""

    def make(rows=0, **settings):
        bundle = Bundle.load(pretrained)
        bundle.tokenizer = Tokenizer(vocabulary, **settings)
        bundle.config = bundle.config.replace(vocab_size=bundle.config.vocab_size + rows)
        for name, tensor in bundle.tensors.items():
            if tensor.shape[0] == len(vocabulary):
                bundle.tensors[name] = tensor[[*range(len(tensor)), *[0] * rows]]
        bundle.save(tmp_path / "model", "card")
        return tmp_path / "model"

    return make


def build(tmp_path, text, name="built", **options):
    build_corpus([text], output=tmp_path / name, sequence_length=16, **options)
    return tmp_path / name


def run(corpus, output, model, **options):
    settings = {"steps": 1, "batch_size": 8, "show_progress": False, **options}
    return pretrain(corpus=corpus, output=output, model=model, **settings)


@pytest.mark.long
@pytest.mark.parametrize(
    ("settings", "said", "theirs"),
    [
        ({"strip_accents": False}, "strip_accents=False", "strip_accents=True"),
        ({"lowercase": False}, "lowercase=False, strip_accents=False", "lowercase=True, strip_accents=True"),
        ({"chinese_characters": False}, "chinese_characters=False", "chinese_characters=True"),
        ({"never_split": ["c++"]}, r"never_split=\['c\+\+'\]", r"never_split=\[\]"),
    ],
)
def test_a_difference_is_refused_and_the_way_out_works(
    make_model, corpus, corpus_text, tmp_path, settings, said, theirs
):
    model = make_model(**settings)
    message = (
        f"tokenizes text with {said}, but the corpus .* was made with {theirs}; build .* `kbert corpus build --vocab"
    )
    with pytest.raises(UsageError, match=message):
        run(corpus, tmp_path / "run", model)
    assert not (tmp_path / "run").exists()
    built = build(tmp_path, corpus_text, vocab=model)
    with pytest.raises(UsageError, match=message):
        run(built, tmp_path / "run", model, validation_corpus=corpus)
    with pytest.raises(UsageError, match=message):
        evaluate_pretraining(model, corpus)
    run(built, tmp_path / "run", model, validation_corpus=built)
    before, after = Bundle.load(model).tokenizer, Bundle.load(tmp_path / "run").tokenizer
    assert before.settings == after.settings


@pytest.mark.long
def test_a_new_model_has_the_settings_of_its_corpus(corpus_text, tmp_path, vocabulary):
    tokenizer = Tokenizer(
        vocabulary, strip_accents=False, chinese_characters=False, added_tokens=[AddedToken("cat sat")]
    )
    run(build(tmp_path, corpus_text, vocab=tokenizer), tmp_path / "run", "tiny")
    bundle = Bundle.load(tmp_path / "run")
    assert bundle.config.vocab_size == 24
    assert bundle.tokenizer.replace(model_max_length=None).settings == tokenizer.settings
    assert bundle.tokenizer.ids("A cat sat") == [6, 23]


def test_phases_of_different_settings(corpus, corpus_text, tmp_path, vocab_file):
    other = build(tmp_path, corpus_text, vocab=vocab_file, strip_accents=False)
    with pytest.raises(UsageError, match="the same vocabulary and the same text normalization"):
        pretrain(corpus=[corpus, other], output=tmp_path / "run", model="tiny", phases=[(16, 1), (16, 1)], batch_size=8)


@pytest.mark.long
def test_added_tokens_that_a_corpus_does_not_hold(make_model, corpus, corpus_text, tmp_path, caplog):
    """It is used, with a warning; a corpus that is built with the folder holds them."""
    model = make_model(rows=2, added_tokens=[AddedToken("cat sat"), AddedToken("[E1]", special=True)])
    run(corpus, tmp_path / "first", model)
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [line for line in said if "added tokens" in line] == [
        f"the corpus {corpus} was made without the 1 added tokens of {model} ('cat sat'), so the model keeps them but "
        f"learns nothing about them; build the corpus with `kbert corpus build --vocab {model}` to recognize them in "
        "the text"
    ]
    caplog.clear()
    run(build(tmp_path, corpus_text, vocab=model), tmp_path / "second", model)
    assert "added tokens" not in caplog.text
    tokenizer = Bundle.load(tmp_path / "second").tokenizer
    assert tokenizer.settings == Bundle.load(model).tokenizer.settings
    assert tokenizer.vocabulary.ids["cat sat"] == 23


@pytest.mark.long
def test_an_extended_model_with_added_tokens(make_model, corpus_text, tmp_path):
    """From `vocab extend` through `corpus build` to `pretrain`, with all settings."""
    model = make_model(rows=1, strip_accents=False, added_tokens=[AddedToken("cat sat")])
    extend_vocabulary(model, inputs=[corpus_text], add=3, output=tmp_path / "more", minimum_frequency=1)
    run(build(tmp_path, corpus_text, vocab=tmp_path / "more"), tmp_path / "run", tmp_path / "more")
    settings = Bundle.load(tmp_path / "run").tokenizer.settings
    assert (settings.strips_accents, settings.added_tokens) == (False, (AddedToken("cat sat"),))
    assert settings.differences(TokenizerSettings()) == ["strip_accents"]


def test_an_extension_names_long_words(make_model, tmp_path, caplog):
    thai = tmp_path / "thai.txt"
    thai.write_text("แมวดำกำลังนั่งอยู่บนเสื่อ" * 12 + "\n", encoding="utf-8")
    model = make_model(strip_accents=False)
    with pytest.raises(DataError, match="The text has none; 1 word is longer than 200 characters, such as 'แมวดำ"):
        extend_vocabulary(model, inputs=[thai], add=3, output=tmp_path / "more", minimum_frequency=1)
    with thai.open("a", encoding="utf-8") as handle:
        handle.write("unaffable cats\n")
    extend_vocabulary(model, inputs=[thai], add=3, output=tmp_path / "more", minimum_frequency=1)
    assert "words that are too long are not added: 1 word is longer" in caplog.text
