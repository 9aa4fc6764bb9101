import json

import numpy as np
import pytest
from click.testing import CliRunner

from kbert.cli.main import main
from kbert.conversion.vocabulary_extension import extend_vocabulary
from kbert.corpus.building.build import build_corpus
from kbert.errors import BundleError, DataError, UsageError
from kbert.model_folder.bundle import Bundle
from kbert.text.settings import AddedToken
from kbert.text.tokenizer import Tokenizer
from kbert.text.vocabulary import Vocabulary
from kbert.training.evaluation import evaluate_pretraining
from kbert.training.pretrain import pretrain

TABLE, BIAS = "bert.embeddings.word_embeddings.weight", "cls.predictions.bias"


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "domain.txt"
    path.write_text("Cats unaffable cats.\nUnaffable mats, the unaffable cat.\n", encoding="utf-8")
    return path


def extended(pretrained, text, folder, **options):
    return extend_vocabulary(pretrained, inputs=[text], output=folder, **{"add": 10, "minimum_frequency": 1, **options})


def test_new_rows_are_the_means_of_their_pieces(pretrained, text, tmp_path):
    extension = extended(pretrained, text, tmp_path / "new")
    assert extension.words == {"unaffable": 23, "cats": 24, "mats": 25}
    assert (extension.vocabulary_size, extension.tokens_before, extension.tokens_after) == (26, 20, 11)
    old, new = Bundle.load(pretrained).tensors, Bundle.load(tmp_path / "new").tensors
    for name in (TABLE, BIAS):
        assert new[name].dtype == old[name].dtype
        np.testing.assert_array_equal(new[name][23], old[name][[17, 18, 19]].mean(0, dtype=np.float32))
        np.testing.assert_array_equal(new[name][24], old[name][[7, 15]].mean(0, dtype=np.float32))
        np.testing.assert_array_equal(new[name][25], old[name][[11, 15]].mean(0, dtype=np.float32))


def test_a_model_of_the_hub(pretrained, text, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "kbert.conversion.vocabulary_extension.resolve", lambda source: asked.append(source) or pretrained
    )
    arguments = ["--input", str(text), "--minimum-frequency", "1", "--output", str(tmp_path / "new")]
    result = CliRunner().invoke(main, ["vocab", "extend", "hf://owner/name", *arguments])
    assert (result.exit_code, asked) == (0, ["hf://owner/name"])
    assert "3 words added (unaffable, cats, mats), 26 entries" in result.stderr


def test_old_ids_and_weights_stay_to_the_bit(pretrained, text, tmp_path):
    extended(pretrained, text, tmp_path / "new")
    before, after = Bundle.load(pretrained), Bundle.load(tmp_path / "new")
    assert list(after.tokenizer.vocabulary)[:23] == list(before.tokenizer.vocabulary)
    assert after.config == before.config.replace(vocab_size=26)
    assert sorted(after.tensors) == sorted(before.tensors)
    for name, tensor in before.tensors.items():
        kept = after.tensors[name][:23] if name in (TABLE, BIAS) else after.tensors[name]
        assert kept.tobytes() == tensor.tobytes()


@pytest.fixture
def with_free_places(pretrained, tmp_path):
    """A vocabulary with two unused entries, and a table with two rows behind the vocabulary."""
    bundle = Bundle.load(pretrained)
    tokens = [*bundle.tokenizer.vocabulary, "[unused0]", "[unused1]"]
    for name in (TABLE, BIAS):
        tensor = bundle.tensors[name]
        bundle.tensors[name] = np.concatenate([tensor, np.full((4, *tensor.shape[1:]), 7, tensor.dtype)])
    bundle.config = bundle.config.replace(vocab_size=27)
    bundle.tokenizer = Tokenizer(Vocabulary(tokens))
    bundle.save(tmp_path / "free", "# A card\n")
    return tmp_path / "free"


def test_unused_places_first(with_free_places, text, tmp_path):
    extension = extended(with_free_places, text, tmp_path / "new", use_unused=True)
    assert extension.words == {"unaffable": 23, "cats": 24, "mats": 25}
    new = Bundle.load(tmp_path / "new")
    assert list(new.tokenizer.vocabulary)[23:] == ["unaffable", "cats", "mats"]
    assert new.config.vocab_size == 27
    assert (new.tensors[BIAS][25:] == 7).tolist() == [False, True]


def test_rows_behind_the_vocabulary_are_free(with_free_places, text, tmp_path):
    extension = extended(with_free_places, text, tmp_path / "new", add=2)
    assert extension.words == {"unaffable": 25, "cats": 26}
    assert list(Bundle.load(tmp_path / "new").tokenizer.vocabulary)[23:] == [
        "[unused0]",
        "[unused1]",
        "unaffable",
        "cats",
    ]


@pytest.mark.long
def test_pretraining_goes_on(pretrained, text, corpus_text, tmp_path):
    extended(pretrained, text, tmp_path / "new")
    corpus = tmp_path / "corpus"
    build_corpus([corpus_text], vocab=tmp_path / "new" / "vocab.txt", output=corpus, sequence_length=16)
    options = {"batch_size": 4, "show_progress": False, "learning_rate": 1e-3}
    pretrain(corpus=corpus, model=tmp_path / "new", output=tmp_path / "run", steps=3, **options)
    assert "unaffable" in Bundle.load(tmp_path / "run").tokenizer.vocabulary


@pytest.mark.slow
def test_a_text_costs_no_more_than_before(data, tmp_path):
    """The loss of all predictions of a text: fewer tokens, each a little harder."""
    import itertools

    with open(data / "corpus" / "en_wikipedia.txt", encoding="utf-8") as opened:
        lines = list(itertools.islice(opened, 3000))
    general, domain = tmp_path / "general.txt", tmp_path / "domain.txt"
    general.write_text("".join(lines[:2000]), encoding="utf-8")
    domain.write_text("".join(lines[2000:]), encoding="utf-8")
    from kbert.text.vocabulary_training import train_vocabulary

    train_vocabulary([general], size=1500).save(tmp_path / "vocab.txt")
    build_corpus([general], vocab=tmp_path / "vocab.txt", output=tmp_path / "general", sequence_length=64)
    pretrain(
        corpus=tmp_path / "general", model="tiny", output=tmp_path / "run", steps=300, batch_size=32,
        learning_rate=1e-3, initializer_range=0.05, show_progress=False,
    )  # fmt: skip
    extension = extend_vocabulary(tmp_path / "run", inputs=[domain], add=200, output=tmp_path / "new")
    losses = {}
    for model in ("run", "new"):
        build_corpus(
            [domain], vocab=tmp_path / model / "vocab.txt", output=tmp_path / f"on-{model}", sequence_length=64
        )
        losses[model] = evaluate_pretraining(tmp_path / model, tmp_path / f"on-{model}")["mlm_loss"]
    assert losses["new"] * extension.tokens_after <= losses["run"] * extension.tokens_before


def test_what_cannot_be_is_refused(pretrained, text, tmp_path):
    with pytest.raises(UsageError, match="must be at least 1"):
        extended(pretrained, text, tmp_path / "new", add=0)
    with pytest.raises(DataError, match="occur at least 50 times"):
        extended(pretrained, text, tmp_path / "new", minimum_frequency=50)
    assert not (tmp_path / "new").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(UsageError, match="new or empty folder"):
        extended(pretrained, text, tmp_path / "full")


@pytest.fixture
def with_added_tokens(pretrained, vocabulary, tmp_path):
    """A model with two tokens behind its vocab.txt, as `add_tokens` of Transformers leaves it."""
    bundle = Bundle.load(pretrained)
    bundle.tokenizer = Tokenizer(vocabulary, added_tokens=[AddedToken("covid"), AddedToken("[E1]", special=True)])
    rng = np.random.default_rng(0)
    for name in (TABLE, BIAS):
        more = rng.normal(0, 1, (2, *bundle.tensors[name].shape[1:])).astype(np.float32)
        bundle.tensors[name] = np.concatenate([bundle.tensors[name], more])
    bundle.config = bundle.config.replace(vocab_size=25)
    bundle.save(tmp_path / "added", "card")
    return tmp_path / "added"


def test_added_tokens_keep_their_ids(with_added_tokens, text, tmp_path):
    """They become lines of vocab.txt, are found in text as before, and new words follow."""
    text.write_text(text.read_text() + "The covid cat.\n")
    extension = extended(with_added_tokens, text, tmp_path / "new")
    assert extension.words == {"unaffable": 25, "cats": 26, "mats": 27}
    before, after = Bundle.load(with_added_tokens), Bundle.load(tmp_path / "new")
    assert list(after.tokenizer.vocabulary) == [*before.tokenizer.vocabulary, *extension.words]
    assert (tmp_path / "new" / "vocab.txt").read_text().split("\n")[23:] == ["covid", "[E1]", *extension.words, ""]
    assert after.tokenizer.settings.added_tokens == before.tokenizer.settings.added_tokens
    assert after.tokenizer.ids("a covid cats") == [6, 23, 26]
    np.testing.assert_array_equal(after.tensors[TABLE][:25], before.tensors[TABLE])


@pytest.mark.parametrize(("token", "shown"), [("\n", r"'\\n'"), ("foo ", "'foo '"), ("\u3000x", r"'\\u3000x'")])
def test_an_added_token_that_is_no_line_is_refused(pretrained, vocabulary, text, tmp_path, monkeypatch, token, shown):
    """The white space around a line of vocab.txt is not a part of its token, so the new folder could not be opened."""
    bundle = Bundle.load(pretrained)
    bundle.tokenizer = Tokenizer(vocabulary, added_tokens=[AddedToken(token)])
    monkeypatch.setattr(Bundle, "load", lambda folder: bundle)
    with pytest.raises(UsageError, match=rf"its added token {shown} would have to become a line of vocab\.txt"):
        extended(pretrained, text, tmp_path / "new")


@pytest.mark.long
def test_pretraining_goes_on_with_added_tokens(with_added_tokens, corpus_text, tmp_path, caplog):
    """On a corpus built with the vocab.txt alone, and what comes of it knows the added tokens still."""
    build_corpus([corpus_text], vocab=with_added_tokens / "vocab.txt", output=tmp_path / "corpus", sequence_length=16)
    options = {"steps": 1, "batch_size": 8, "learning_rate": 1e-3, "show_progress": False}
    corpus = tmp_path / "corpus"
    caplog.set_level("INFO", "kbert")
    pretrain(corpus=corpus, validation_corpus=corpus, model=with_added_tokens, output=tmp_path / "run", **options)
    before, after = Bundle.load(with_added_tokens), Bundle.load(tmp_path / "run")
    assert after.tokenizer.vocabulary == before.tokenizer.vocabulary
    assert after.tokenizer.settings.added_tokens == before.tokenizer.settings.added_tokens
    assert after.tensors[TABLE].shape == before.tensors[TABLE].shape
    assert evaluate_pretraining(tmp_path / "run", corpus)["mlm_loss"] > 0
    assert not any("new weights" in record.getMessage() for record in caplog.records)


def test_the_command(pretrained, text, tmp_path):
    arguments = ["vocab", "extend", str(pretrained), "--input", str(text), "--minimum-frequency", "1"]
    done = CliRunner().invoke(main, [*arguments, "--add", "1", "--output", str(tmp_path / "a")])
    assert done.exit_code == 0, done.output
    assert "1 words added (unaffable), 24 entries" in done.stderr
    done = CliRunner().invoke(main, [*arguments, "--output", str(tmp_path / "b"), "--json"])
    assert json.loads(done.stdout)["words"] == {"unaffable": 23, "cats": 24, "mats": 25}


def test_what_was_left_out_is_told(pretrained, text, tmp_path):
    text.write_bytes(text.read_bytes() + b"\xff cats\n")
    arguments = ["vocab", "extend", str(pretrained), "--input", str(text), "--minimum-frequency", "1"]
    done = CliRunner().invoke(main, [*arguments, "--invalid-utf8", "skip", "--output", str(tmp_path / "new"), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["left_out"] == {"invalid_utf8": 1}
    assert "left out: 1" in done.stderr


def test_a_cross_encoder_keeps_its_activation(make_cross_encoder, text, tmp_path):
    folder = make_cross_encoder(tmp_path / "ce")
    (folder / "modules.json").write_text('[{"type": "sentence_transformers.models.Transformer", "path": ""}]')
    (folder / "config_sentence_transformers.json").write_text(
        '{"model_type": "CrossEncoder", "activation_fn": "torch.nn.modules.linear.Identity"}'
    )
    extended(folder, text, tmp_path / "new")
    assert Bundle.load(tmp_path / "new").foreign_config["sentence_transformers"] == {
        "activation_fn": "torch.nn.modules.linear.Identity"
    }


def test_a_corpus_of_another_vocabulary_is_told_where_the_right_one_is(make_sentence_folder, corpus_text, tmp_path):
    folder = make_sentence_folder(tmp_path / "m", path="0_Transformer")
    tokens = Bundle.load(folder).tokenizer.vocabulary.tokens
    Vocabulary([*tokens[:-1], "?"]).save(tmp_path / "other.txt")
    build_corpus([corpus_text], vocab=tmp_path / "other.txt", output=tmp_path / "corpus", sequence_length=16)
    with pytest.raises(BundleError, match=r"build it with `kbert corpus build --vocab \S*/m`$"):
        pretrain(corpus=tmp_path / "corpus", model=folder, output=tmp_path / "run", steps=1, batch_size=8)
