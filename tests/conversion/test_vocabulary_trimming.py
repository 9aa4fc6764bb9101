import json

import numpy as np
import pytest
from click.testing import CliRunner

from kbert.cli.main import main
from kbert.conversion.vocabulary_trimming import trim_vocabulary
from kbert.errors import DataError, UsageError
from kbert.model_folder.bundle import Bundle
from kbert.prediction.feature_vectors import extract_features
from kbert.text.settings import AddedToken
from kbert.text.tokenizer import Tokenizer
from kbert.text.vocabulary import Vocabulary

TABLE, BIAS = "bert.embeddings.word_embeddings.weight", "cls.predictions.bias"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("The cats sat.\nA cat sat on a cat.\n", encoding="utf-8")
    return path


def trimmed(model, text, folder, **options):
    trim_vocabulary(model, corpus=[text], output=folder, **{"characters": "used", **options})
    return Bundle.load(folder)


def entries(bundle):
    return list(bundle.tokenizer.vocabulary)


def with_vocabulary(pretrained, folder, tokens, **settings):
    """Writes the pretrained model with another vocabulary; its rows are numbered."""
    bundle = Bundle.load(pretrained)
    bundle.tokenizer = Tokenizer(Vocabulary(tokens), **settings)
    size = len(bundle.tokenizer.vocabulary)
    width = bundle.tensors[TABLE].shape[1]
    bundle.tensors[TABLE] = np.repeat(np.arange(size, dtype=np.float32)[:, None], width, axis=1)
    bundle.tensors[BIAS] = np.arange(size, dtype=np.float32)
    bundle.config = bundle.config.replace(vocab_size=size)
    bundle.save(folder, "# A card\n")
    return folder


def test_used_tokens_keep_their_rows_to_the_bit(pretrained, text, tmp_path):
    before, after = Bundle.load(pretrained), trimmed(pretrained, text, tmp_path / "new")
    kept = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 15, 20]
    assert entries(after) == [*SPECIAL, "the", "a", "cat", "sat", "on", "##s", "."]
    assert after.config == before.config.replace(vocab_size=12)
    assert sorted(after.tensors) == sorted(before.tensors)
    for name, tensor in before.tensors.items():
        expected = tensor[kept] if name in (TABLE, BIAS) else tensor
        assert after.tensors[name].tobytes() == expected.tobytes()
        assert after.tensors[name].dtype == tensor.dtype
    files = json.loads((tmp_path / "new" / "tokenizer.json").read_text())
    assert list(files["model"]["vocab"]) == entries(after)


@pytest.mark.long
def test_outputs_on_the_corpus_are_equal_to_the_bit(pretrained, text, tmp_path):
    trimmed(pretrained, text, tmp_path / "new")
    vectors = [extract_features(folder, text.read_text().splitlines()) for folder in (pretrained, tmp_path / "new")]
    assert vectors[0].tobytes() == vectors[1].tobytes()


def test_the_result_counts_entries_and_bytes(pretrained, text, tmp_path):
    held_out = tmp_path / "held.txt"
    held_out.write_text("The dog sat on a mat!\n")
    result = trim_vocabulary(pretrained, corpus=[text], output=tmp_path / "new", characters="used", held_out=[held_out])
    assert (result.entries_before, result.entries_after, result.used, result.characters) == (23, 12, 7, 0)
    assert result.tokens == 12
    # The table has 32 columns and the bias one, each of 4 bytes; the decoder is tied to the table.
    assert result.bytes_before - result.bytes_after == 11 * 33 * 4
    assert (result.held_out_before, result.held_out_after) == (7, 7)
    assert result.unknown_before == 0.0
    assert result.unknown_after == pytest.approx(3 / 7)  # dog, mat and !


def test_an_unknown_word_stays_unknown(pretrained, tmp_path):
    """Without "abc", which matches its beginning, "abcx" would become "ab" and "##cx"."""
    model = with_vocabulary(pretrained, tmp_path / "model", [*SPECIAL, "abc", "ab", "##cx", "b"])
    text = tmp_path / "corpus.txt"
    text.write_text("abcx b ab\n")
    assert Bundle.load(model).tokenizer.ids("abcx") == [1]
    after = trimmed(model, text, tmp_path / "new", keep=_file(tmp_path, "##cx\n"))
    assert entries(after) == [*SPECIAL, "abc", "ab", "##cx", "b"]
    assert after.tokenizer.ids("abcx b ab") == [1, 8, 6]


def _file(folder, content):
    path = folder / "keep.txt"
    path.write_text(content)
    return path


def test_rare_tokens_are_dropped_on_request(pretrained, text, tmp_path):
    after = trimmed(pretrained, text, tmp_path / "new", minimum_frequency=2)
    assert entries(after) == [*SPECIAL, "a", "cat", "sat", "."]


CHARACTERS = [*SPECIAL, "cat", "x", "##x", "中", "##中", "国", "ж", "##ж", "X", "[unused0]"]


@pytest.mark.parametrize(
    ("which", "kept"),
    [
        ("used", ["cat", "中"]),
        ("scripts", ["cat", "x", "##x", "中", "国"]),
        ("all", ["cat", "x", "##x", "中", "国", "ж", "##ж"]),
    ],
)
def test_characters_that_a_text_can_contain_are_kept(pretrained, tmp_path, which, kept):
    """Of the scripts of the corpus by default: no text has "X" in lower case, or an ideograph that continues a word."""
    model = with_vocabulary(pretrained, tmp_path / "model", CHARACTERS)
    text = tmp_path / "corpus.txt"
    text.write_text("cat 中\n", encoding="utf-8")
    assert entries(trimmed(model, text, tmp_path / "new", characters=which)) == [*SPECIAL, *kept]


def test_words_and_entries_of_a_file_are_kept(pretrained, text, tmp_path):
    after = trimmed(pretrained, text, tmp_path / "new", keep=_file(tmp_path, "Dogs\n##ed\n\n"))
    assert [token for token in entries(after) if token in ("dog", "##s", "##ed", "mat")] == ["dog", "##s", "##ed"]
    with pytest.raises(DataError, match=r"keep.txt:2: expected an entry of the vocabulary.*Received: 'zebra'"):
        trimmed(pretrained, text, tmp_path / "other", keep=_file(tmp_path, "dog\nzebra\n"))
    assert not (tmp_path / "other").exists()


def test_added_tokens_are_kept_and_ids_in_the_config_move(pretrained, text, tmp_path):
    model = with_vocabulary(
        pretrained, tmp_path / "model", ["mat", *SPECIAL, "the", "a", "cat", "sat", "on", "##s", "."],
        added_tokens=[AddedToken("[E1]", special=True)],
    )  # fmt: skip
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"pad_token_id": 1, "sep_token_id": 4, "eos_token_id": 0}))
    after = trimmed(model, text, tmp_path / "new")
    assert entries(after) == [*SPECIAL, "the", "a", "cat", "sat", "on", "##s", ".", "[E1]"]
    assert after.tokenizer.vocabulary.piece_count == 12
    assert after.config.pad_token_id == 0
    assert (after.foreign_config["sep_token_id"], after.foreign_config["eos_token_id"]) == (3, None)


def test_rows_without_tokens_are_dropped(pretrained, text, tmp_path):
    bundle = Bundle.load(pretrained)
    for name in (TABLE, BIAS):
        bundle.tensors[name] = np.concatenate([bundle.tensors[name], bundle.tensors[name][:5]])
    bundle.config = bundle.config.replace(vocab_size=28)
    bundle.save(tmp_path / "wide", "# A card\n")
    assert len(trimmed(tmp_path / "wide", text, tmp_path / "new").tensors[TABLE]) == 12


def test_a_fine_tuned_model_keeps_its_task(classifier, text, tmp_path):
    before, after = Bundle.load(classifier), trimmed(classifier, text, tmp_path / "new")
    assert {**after.settings, "kbert_version": ""} == {**before.settings, "kbert_version": ""}
    assert after.architecture == before.architecture == "BertForSequenceClassification"


def test_a_sentence_model_keeps_its_modules_and_prompts(make_sentence_folder, text, tmp_path):
    model = make_sentence_folder(
        tmp_path / "m", path="0_Transformer", library={"prompts": {"query": "fast: "}, "default_prompt_name": "query"}
    )
    after = trimmed(model, text, tmp_path / "new")
    assert after.modules.prompts == {"query": "fast: "}
    assert "fast" in entries(after)
    assert (tmp_path / "new" / "1_Pooling" / "config.json").exists()


def test_modules_that_cannot_be_written_are_refused(make_sentence_folder, text, tmp_path):
    model = make_sentence_folder(tmp_path / "m", modules=("Pooling", "Dense"))
    with pytest.raises(
        UsageError, match=r"expected a model whose modules kbert can write\. Received: .*a module Dense"
    ):
        trimmed(model, text, tmp_path / "new")


def test_a_corpus_without_text_is_refused(pretrained, tmp_path):
    (tmp_path / "empty.txt").write_text("\n\n")
    with pytest.raises(DataError, match=r"empty.txt: expected text to tokenize\. The file holds no words"):
        trimmed(pretrained, tmp_path / "empty.txt", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_command(pretrained, text, tmp_path):
    arguments = [
        "vocab",
        "trim",
        str(pretrained),
        "--corpus",
        str(text),
        "--characters",
        "used",
        "--held-out",
        str(text),
    ]
    done = CliRunner().invoke(main, [*arguments, "--output", str(tmp_path / "a")])
    assert done.exit_code == 0, done.output
    assert "12 of 23 entries kept (7 that the corpus uses, 0 other characters)" in done.stderr
    assert "held-out text: 0.000% of 12 tokens are [UNK] before, 0.000% of 12 after" in done.stderr
    done = CliRunner().invoke(main, [*arguments, "--output", str(tmp_path / "b"), "--json"])
    assert json.loads(done.stdout)["entries_after"] == 12
