import json

import pytest

from kbert.errors import BundleError, KbertError, VocabularyError
from kbert.text.settings import AddedToken, TokenizerSettings
from kbert.text.tokenizer import Tokenizer
from kbert.text.tokenizer_files.reading import load_tokenizer
from kbert.text.tokenizer_files.writing import save_tokenizer
from kbert.text.vocabulary import SPECIAL_TOKENS

ADDED = (AddedToken("covid", normalized=True), AddedToken("<e>", lstrip=True, single_word=True))


@pytest.fixture
def folder(tmp_path, vocabulary):
    save_tokenizer(Tokenizer(vocabulary), tmp_path)
    return tmp_path


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"lowercase": False, "strip_accents": True, "chinese_characters": False, "max_word_length": 100},
        {"special_tokens_in_text": True, "model_max_length": 128, "never_split": ["don't"]},
        {"normalization": "mediapipe"},
        {"added_tokens": ADDED},
        {"added_tokens": [AddedToken("[MASK]", special=True, lstrip=True), *ADDED, AddedToken("[E1]", special=True)]},
    ],
)
def test_what_is_saved_is_loaded(tmp_path, vocabulary, settings):
    tokenizer = Tokenizer(vocabulary, **settings)
    save_tokenizer(tokenizer, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert sorted(before) == ["tokenizer.json", "tokenizer_config.json", "vocab.txt"]
    loaded = load_tokenizer(tmp_path)
    assert loaded.settings == tokenizer.settings
    assert loaded.vocabulary == tokenizer.vocabulary
    save_tokenizer(loaded, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    for name in ("vocab.txt", "tokenizer_config.json"):  # tokenizer.json is enough
        (tmp_path / name).unlink()
    alone = load_tokenizer(tmp_path)
    assert alone.vocabulary == tokenizer.vocabulary
    assert alone.settings.added_tokens == tokenizer.settings.added_tokens
    assert alone.lowercase == tokenizer.lowercase


def test_stale_files_go(folder, vocabulary):
    (folder / "added_tokens.json").write_text('{"old": 23}')
    (folder / "special_tokens_map.json").write_text("{}")
    assert load_tokenizer(folder).settings.added_tokens == (AddedToken("old", normalized=True),)
    save_tokenizer(Tokenizer(vocabulary), folder)
    assert load_tokenizer(folder).settings.added_tokens == ()


def test_a_vocabulary_alone_is_the_original(tmp_path, vocabulary):
    vocabulary.save(tmp_path / "vocab.txt")
    settings = load_tokenizer(tmp_path).settings
    assert (settings.lowercase, settings.special_tokens_in_text, settings.max_word_length) == (True, False, 200)
    assert load_tokenizer(tmp_path, special_tokens_in_text=True).settings.special_tokens_in_text
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false, "model_max_length": 1e30}')
    settings = load_tokenizer(tmp_path).settings
    assert (settings.lowercase, settings.special_tokens_in_text, settings.model_max_length) == (False, True, None)


def test_the_configuration_is_right_where_both_say_something(folder):
    change(
        folder / "tokenizer_config.json", do_lower_case=False, strip_accents=True, tokenizer_class="BertTokenizerFast"
    )
    assert load_tokenizer(folder).settings.strip_accents is True
    assert not load_tokenizer(folder).lowercase
    (folder / "tokenizer_config.json").write_text("{}")
    assert load_tokenizer(folder).lowercase


@pytest.mark.parametrize("name", ["PreTrainedTokenizerFast", "TokenizersBackend"])
def test_classes_for_any_tokenizer_use_its_file_unchanged(folder, caplog, name):
    """These are the settings with which Transformers' AutoTokenizer opens the folder."""
    change(
        folder / "tokenizer_config.json",
        do_lower_case=False,
        strip_accents=False,
        tokenize_chinese_chars=False,
        tokenizer_class=name,
    )
    settings = load_tokenizer(folder).settings
    assert (settings.lowercase, settings.strips_accents, settings.chinese_characters) == (True, True, True)
    assert [record.getMessage().partition("tokenizer_config.json ")[2] for record in caplog.records] == [
        f"says do_lower_case=False, and {folder / 'tokenizer.json'} lowercase=True, which is used, as in Transformers' "
        f"class {name}; make the two equal",
        f"says tokenize_chinese_chars=False, and {folder / 'tokenizer.json'} handle_chinese_chars=True, which is used, "
        f"as in Transformers' class {name}; make the two equal",
    ]


def model(**values):
    return {
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "vocab": {token: index for index, token in enumerate([*SPECIAL_TOKENS, "a"])},
        }
        | values
    }


def row(content, index, **flags):
    return {"added_tokens": [{"id": index, "content": content, **flags}]}


NAME = {"tokenizer": "tokenizer.json", "config": "tokenizer_config.json"}


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        ("tokenizer", model(type="BPE"), "model of type WordPiece. Received: 'BPE'"),
        ("tokenizer", {"model": 7}, "model must be an object. Received: 7"),
        (
            "tokenizer",
            {"normalizer": {"type": "Lowercase"}},
            "normalizer of type BertNormalizer. Received: 'Lowercase'",
        ),
        ("tokenizer", {"normalizer": {"type": "BertNormalizer", "clean_text": False}}, "clean_text must be true"),
        ("tokenizer", {"pre_tokenizer": None}, "pre_tokenizer of type BertPreTokenizer. Received: None"),
        ("tokenizer", model(continuing_subword_prefix="@@"), "Received: '@@'"),
        ("tokenizer", model(unk_token="<unk>"), "Received: '##' and '<unk>'"),
        ("tokenizer", model(max_input_chars_per_word=-1), "max_word_length must be at least 1"),
        ("tokenizer", model(max_input_chars_per_word="100"), "max_input_chars_per_word must be an integer"),
        ("tokenizer", model(vocab={"a": 0, "b": 9}), "the ids 0 to 1, each once. Received: 'b' with id 9"),
        ("tokenizer", model(vocab={"a": 0, "b": 0}), "Received: 'b' with id 0"),
        ("tokenizer", model(vocab={"a": True}), "must map text to integers"),
        ("tokenizer", model(vocab={"\ud800": 0}), "must map text to integers"),
        ("tokenizer", model(vocab={"a": 0}), "Missing: [PAD]"),
        ("tokenizer", model(vocab=[]), "model.vocab must be an object. Received: []"),
        ("tokenizer", model(), "must hold the same vocabulary"),
        ("tokenizer", {"added_tokens": {}} | {"added_tokens": {"a": 1}}, "added_tokens must be a list"),
        ("tokenizer", {"added_tokens": [3]}, "added_tokens[0] must be an object. Received: 3"),
        ("tokenizer", row("x", 24), "without a gap. Received: 'x' with id 24, expected 23"),
        ("tokenizer", row("cat", 8), "Received: 'cat' with id 8, expected 7"),
        ("tokenizer", row("x", "23"), "added_tokens[0].id must be an integer. Received: '23'"),
        ("tokenizer", row("x", 23, lstrip=1), "lstrip must be true or false. Received: 1"),
        ("tokenizer", row("x\0", 23), "or contain U+0000. Received: "),
        ("tokenizer", row("\udc00", 23), "content must be a string"),
        ("tokenizer", row("", 23), "must not be empty"),
        ("config", {"do_lower_case": "yes"}, "do_lower_case must be true or false. Received: 'yes'"),
        ("config", {"cls_token": "<s>"}, "cls_token must be [CLS], the only name that kbert knows. Received: '<s>'"),
        ("config", {"cls_token": {"content": "<s>"}}, "Received: '<s>'"),
        ("config", {"model_max_length": -3}, "model_max_length must be at least 1. Received: -3"),
        ("config", {"model_max_length": "x" * 1000}, "model_max_length must be an integer. Received: 'xxx"),
        ("config", {"never_split": ["a b"]}, "words without white space"),
        ("config", {"never_split": 1}, "never_split must be a list of strings. Received: 1"),
        ("config", {"added_tokens_decoder": {"x": {"content": "y"}}}, "Received: 'y' with id -1, expected 23"),
        ("config", {"added_tokens_decoder": {"23": "y"}}, "added_tokens_decoder.23 must be an object"),
        ("config", {"additional_special_tokens": [1]}, "additional_special_tokens must be a list of tokens"),
    ],
)
def test_what_is_refused(folder, file, values, message):
    change(folder / NAME[file], **values)
    if "model" in values and "same vocabulary" not in message:
        (folder / "vocab.txt").unlink()
    with pytest.raises(KbertError) as caught:
        load_tokenizer(folder)
    assert isinstance(caught.value, BundleError | VocabularyError)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 100_000, '{"model_max_length": 1' + "0" * 5000 + "}", "\x00"])
@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "added_tokens.json"])
def test_files_that_are_no_json(folder, name, content):
    (folder / name).write_text(content)
    with pytest.raises(BundleError, match=name):
        load_tokenizer(folder)


def test_folders_without_a_tokenizer(tmp_path):
    with pytest.raises(BundleError, match=r"expected a tokenizer: vocab.txt or tokenizer.json. Neither is there"):
        load_tokenizer(tmp_path)
    with pytest.raises(BundleError, match="Neither is there"):
        load_tokenizer(tmp_path / "absent")
    with open(tmp_path / "tokenizer.json", "wb") as handle:
        handle.truncate(1 << 28)
    with pytest.raises(BundleError, match=r"at most 128 MB. Received: 268,435,456 bytes"):
        load_tokenizer(tmp_path)


# === Files of trained models as they are ===

ODD = "[PAD]\n[UNK]\n\n[CLS]\n[SEP]\ncat\n[MASK]\n\u3000\ncat\n \ndog \n\n##s\n\n".encode()


def test_a_vocabulary_with_repeated_lines_comes_back(tmp_path):
    """The same ids in Python, in the graph and in tokenizer.json; vocab.txt keeps its bytes."""
    import tensorflow as tf
    import tokenizers

    (tmp_path / "vocab.txt").write_bytes(ODD)
    first = load_tokenizer(tmp_path)
    first = Tokenizer.from_settings(first.vocabulary, TokenizerSettings(added_tokens=(AddedToken("<new>"),)))
    save_tokenizer(first, tmp_path / "saved")
    assert (tmp_path / "saved" / "vocab.txt").read_bytes() == ODD
    text, expected = "cats dog <new> \u3000 x", [8, 12, 10, 13, 1]
    foreign = tokenizers.Tokenizer.from_file(str(tmp_path / "saved" / "tokenizer.json"))
    assert foreign.encode(text, add_special_tokens=False).ids == expected
    for folder in ("saved", "alone"):
        again = load_tokenizer(tmp_path / folder)
        assert again.ids(text) == again.to_graph()(tf.constant([text])).to_list()[0] == expected
        assert [again.vocabulary[index] for index in (8, 10, 12, 13)] == ["cat", "dog", "##s", "<new>"]
        if folder == "saved":
            (tmp_path / "alone").mkdir()
            (tmp_path / "saved" / "tokenizer.json").rename(tmp_path / "alone" / "tokenizer.json")


def test_a_tokenizer_json_with_gaps(tmp_path, folder):
    """As Hugging Face's tokenizers write it of a vocab.txt with repeated lines: the last of them has the token."""
    values = json.loads((folder / "tokenizer.json").read_text())
    tokens = [*values["model"]["vocab"], "", "the", "", "cat"]
    values["model"]["vocab"] = {token: index for index, token in enumerate(tokens)}
    values["added_tokens"] += row("<new>", len(tokens))["added_tokens"]
    (folder / "tokenizer.json").write_text(json.dumps(values))
    (folder / "vocab.txt").unlink()
    alone = load_tokenizer(folder)
    assert (alone.ids("the cat <new>"), len(alone.vocabulary)) == ([24, 26, 27], 28)
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens))
    assert load_tokenizer(folder).ids("the cat <new>") == [24, 26, 27]
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in [*tokens[:-2], "cat", ""]))
    with pytest.raises(BundleError, match=r"must hold the same vocabulary; .* Received: different vocabularies$"):
        load_tokenizer(folder)


def test_blank_lines_at_the_end_that_added_tokens_count(tmp_path):
    (tmp_path / "vocab.txt").write_bytes(ODD)
    (tmp_path / "added_tokens.json").write_text('{"<new>": 14}')
    assert load_tokenizer(tmp_path).ids("dog<new>") == [10, 14]
    (tmp_path / "added_tokens.json").write_text('{"<new>": 15}')
    with pytest.raises(BundleError, match=r"without a gap\. Received: '<new>' with id 15, expected 14$"):
        load_tokenizer(tmp_path)


def test_added_special_tokens_without_other_settings(tmp_path, vocabulary):
    vocabulary.save(tmp_path / "vocab.txt")
    (tmp_path / "added_tokens.json").write_text('{"<e>": 23}')
    (tmp_path / "special_tokens_map.json").write_text('{"additional_special_tokens": ["<e>"]}')
    assert load_tokenizer(tmp_path).ids("cat<e>[SEP]") == [7, 23, 3]
    (tmp_path / "added_tokens.json").unlink()
    assert load_tokenizer(tmp_path).ids("cat[SEP]") == [7, 3]


@pytest.mark.parametrize("content", ["\n", " ", "a ", "\u3000x", "two words"])
def test_added_tokens_of_white_space_come_back(tmp_path, vocabulary, content):
    for flags in ({}, {"normalized": True}, {"special": True}):
        first = Tokenizer(vocabulary, added_tokens=[AddedToken(content, **flags), AddedToken("<e>")])
        save_tokenizer(first, tmp_path)
        again = load_tokenizer(tmp_path)
        assert again.settings.added_tokens == first.settings.added_tokens
        assert again.vocabulary == first.vocabulary


JAPANESE = {"tokenizer_class": "BertJapaneseTokenizer"}


def foreign(tmp_path, vocabulary, config=None, model=None):
    vocabulary.save(tmp_path / "vocab.txt")
    for name, values in (("tokenizer_config.json", config), ("config.json", model)):
        if values is not None:
            (tmp_path / name).write_text(json.dumps(values))
    return tmp_path


@pytest.mark.parametrize(
    ("config", "model", "received"),
    [
        (JAPANESE | {"word_tokenizer_type": "mecab"}, None, "'BertJapaneseTokenizer' with word_tokenizer_type 'mecab'"),
        (
            JAPANESE | {"subword_tokenizer_type": "character"},
            None,
            "'BertJapaneseTokenizer' with subword_tokenizer_type 'character'",
        ),
        (
            {"word_tokenizer_type": "mecab", "do_lower_case": False},
            JAPANESE,
            "'BertJapaneseTokenizer' with word_tokenizer_type 'mecab'",
        ),
        ({"word_tokenizer_type": "sudachi"}, None, "word_tokenizer_type 'sudachi'"),
        (JAPANESE | {"do_word_tokenize": False}, None, "'BertJapaneseTokenizer' with do_word_tokenize false"),
        ({"tokenizer_class": "XLMRobertaTokenizer"}, None, "tokenizer_class 'XLMRobertaTokenizer'"),
        ({"tokenizer_class": "KoBertTokenizer"}, None, "tokenizer_class 'KoBertTokenizer'"),
        (None, {"tokenizer_class": "BertGenerationTokenizer"}, "tokenizer_class 'BertGenerationTokenizer'"),
    ],
)
def test_tokenizers_with_other_words_are_refused(tmp_path, vocabulary, config, model, received):
    with pytest.raises(BundleError, match="expected a tokenizer that finds words as BERT's") as caught:
        load_tokenizer(foreign(tmp_path, vocabulary, config, model))
    assert f"Received: {received}, which would give other ids" in str(caught.value)
    assert '"tokenizer_class": "BertTokenizer"' in str(caught.value)


def test_the_way_out_of_a_japanese_tokenizer_works(tmp_path, vocabulary):
    config = {"tokenizer_class": "BertTokenizer", "do_lower_case": False, "tokenize_chinese_chars": False}
    settings = load_tokenizer(foreign(tmp_path, vocabulary, config, JAPANESE)).settings
    assert (settings.lowercase, settings.strips_accents, settings.chinese_characters) == (False, False, False)


@pytest.mark.parametrize(
    "name",
    [
        "BertTokenizer",
        "BertTokenizerFast",
        "DistilBertTokenizerFast",
        "ElectraTokenizer",
        "PreTrainedTokenizerFast",
        None,
    ],
)
def test_tokenizers_with_the_words_of_bert(tmp_path, vocabulary, name):
    assert load_tokenizer(foreign(tmp_path, vocabulary, {"tokenizer_class": name})).settings.lowercase


def test_a_japanese_tokenizer_with_the_words_of_bert(tmp_path, vocabulary):
    """Its class keeps case and does not separate Chinese characters, unlike BertTokenizer."""
    settings = load_tokenizer(foreign(tmp_path, vocabulary, {"word_tokenizer_type": "basic"}, JAPANESE)).settings
    assert (settings.lowercase, settings.chinese_characters) == (False, False)
    assert load_tokenizer(foreign(tmp_path, vocabulary, JAPANESE | {"do_lower_case": True})).settings.lowercase


def test_a_tokenizer_json_speaks_for_itself(folder):
    change(folder / "tokenizer_config.json", tokenizer_class="TokenizersBackend")
    assert load_tokenizer(folder).settings.lowercase
    change(folder / "tokenizer_config.json", word_tokenizer_type="mecab")
    with pytest.raises(BundleError, match="word_tokenizer_type 'mecab'"):
        load_tokenizer(folder)


def test_only_other_normalizations_are_named(tmp_path, vocabulary):
    for normalization in ("bert", "mediapipe"):
        save_tokenizer(Tokenizer(vocabulary, normalization=normalization), tmp_path)
        named = json.loads((tmp_path / "tokenizer_config.json").read_text()).get("kbert_normalization")
        assert named == (None if normalization == "bert" else normalization)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kbert_normalization": "nfc"}, "normalization must be one of bert, mediapipe"),
        ({"kbert_normalization": 1}, "kbert_normalization must be a string"),
        (
            {"kbert_normalization": "mediapipe", "do_lower_case": False, "tokenizer_class": "BertTokenizer"},
            "MediaPipe lower-cases text",
        ),
    ],
)
def test_a_normalization_that_cannot_be_is_refused(folder, values, message):
    change(folder / "tokenizer_config.json", **values)
    with pytest.raises(BundleError, match=message):
        load_tokenizer(folder)


def test_older_and_wrapped_forms_of_tokenizer_json(folder):
    """Early files have no type of the model; a sequence of one part is that part."""
    path = folder / "tokenizer.json"
    expected = load_tokenizer(folder).settings
    values = json.loads(path.read_text())
    del values["model"]["type"]
    values["normalizer"] = {"type": "Sequence", "normalizers": [values["normalizer"]]}
    values["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [values["pre_tokenizer"]]}
    path.write_text(json.dumps(values))
    assert load_tokenizer(folder).settings == expected
    values["normalizer"]["normalizers"][0]["lowercase"] = False
    path.write_text(json.dumps(values))
    (folder / "tokenizer_config.json").unlink()
    assert load_tokenizer(folder).settings.lowercase is False


def test_a_sequence_of_several_normalizers_is_refused(folder):
    path = folder / "tokenizer.json"
    normalizer = json.loads(path.read_text())["normalizer"]
    change(path, normalizer={"type": "Sequence", "normalizers": [{"type": "NFC"}, normalizer]})
    with pytest.raises(BundleError, match=r"normalizer of type BertNormalizer\. Received: 'Sequence'"):
        load_tokenizer(folder)
