"""The tokenizer compared with Hugging Face's: ids, offsets, windows, and folders in both directions.

If Hugging Face's fast tokenizer and the original BERT differ, kbert follows the original. The differences are:

- The fast tokenizer replaces words of 101 to 200 characters by [UNK]. A folder that kbert saves contains the limit of
  200 characters, with which both agree.
- Python's lower() turns a capital sigma at the end of a word into ς. The fast tokenizer lower-cases each character
  separately and gives σ.
- The fast tokenizer drops private and unassigned characters like control characters. Its tables are of an old version
  of Unicode, in which many marks and signs are unassigned or have another category.
- The fast tokenizer does not put spaces around the ideographs U+2B820 to U+2B91F.
- If a pair is truncated "longest_first" to an odd number of tokens and both texts are long, the fast tokenizer gives
  the additional token to the second text if it is the longer one; the original gives it to the first text.
"""

import dataclasses
import functools
import gzip
import json
import unicodedata

import pytest

from kbert.text.normalization import Normalizer
from kbert.text.settings import AddedToken
from kbert.text.tokenizer import Tokenizer
from kbert.text.tokenizer_files.reading import load_tokenizer
from kbert.text.tokenizer_files.writing import save_tokenizer

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("default")]

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

ADDED = [
    AddedToken("Covid", normalized=True),
    AddedToken("c++", normalized=True, single_word=True),
    AddedToken("中国", normalized=True),
    AddedToken("<e>", lstrip=True),
    AddedToken("</e>", rstrip=True),
    AddedToken("of", single_word=True),
    AddedToken("[E1]", special=True),
    AddedToken("nÉe", normalized=True, single_word=True, lstrip=True, rstrip=True),
]
HARD = [
    "[MASK] [SEP][CLS]x[PAD]y[UNK] [mask] [ MASK ]",
    "Paris is the [MASK] of France.[SEP]",
    "COVID covid19 xcovidx Co\u0301vid Covi\u0301d co vid",
    "c++ C++11 _c++ c++_ c+ + ac++ c++! (c++) c++c++",
    "中国 x中国人 中 国 中国中国",
    "a  <e> b  </e>  c <e></e> <e>  </e>\t<e>",
    "of off of. _of of_ of-of (of) \u00e9of of\u0301 OF",
    "  née NÉE_ x née  née\u3000y ne\u0301e NE\u0301E",
    "[E1][MASK][E1] [E1",
    "Σίσυφος a\u00adb\u200dc d\u2028e\u3000f",
    "",
    " \t\n",
    "\u200d",
    "[MASK]",
    "<e>",
]


def lines(goldens, name):
    with gzip.open(goldens / f"tokenizer-{name}.jsonl.gz") as handle:
        return [json.loads(line)["text"] for line in handle]


@functools.cache
def is_same(character):
    """Whether Hugging Face's fast tokenizer makes of a character what the original does."""
    text = f"a{character}a"
    for lowercase in (True, False):
        normalized = tokenizers.normalizers.BertNormalizer(lowercase=lowercase).normalize_str(text)
        words = [word for word, _ in tokenizers.pre_tokenizers.BertPreTokenizer().pre_tokenize_str(normalized)]
        if words != Normalizer(lowercase).words(text):
            return False
    return True


def agrees(text):
    return "Σ" not in text and all(map(is_same, set(text)))


def test_characters_that_disagree():
    """Those that Unicode 3.2 has in the category of today agree, but for one range of ideographs."""
    old = unicodedata.ucd_3_2_0
    stable = [
        chr(c)
        for c in (*range(0xAC00), *range(0xD7A4, 0xD800), *range(0xF900, 0x20100), *range(0x2B700, 0x2B940))
        if old.category(chr(c)) == unicodedata.category(chr(c)) not in ("Cn", "Co")
    ]
    assert len(stable) > 40_000
    assert [character for character in stable if not is_same(character)] == []
    assert is_same("\U0002b920")
    assert not is_same("\U0002b820")


CASES = {
    "uncased": ("bert-base-uncased", {"lowercase": True}),
    "cased": ("bert-base-cased", {"lowercase": False}),
    "chinese": ("bert-base-chinese", {"lowercase": True}),
    "uncased with accents": ("bert-base-uncased", {"lowercase": True, "strip_accents": False}),
    "cased without accents": ("bert-base-cased", {"lowercase": False, "strip_accents": True}),
    "without ideographs": ("bert-base-uncased", {"lowercase": True, "chinese_characters": False}),
    "short words": ("bert-base-cased", {"lowercase": False, "max_word_length": 6}),
}


@pytest.fixture(params=CASES)
def case(request, data):
    name, settings = CASES[request.param]
    return name, data / "vocab" / f"{name}.txt", settings


@pytest.mark.parametrize("added", [[], ADDED])
@pytest.mark.parametrize("special_tokens_in_text", [True, False])
def test_ids_and_offsets(case, goldens, tmp_path, added, special_tokens_in_text):
    name, vocabulary, settings = case
    ours = Tokenizer(vocabulary, **settings, added_tokens=added, special_tokens_in_text=special_tokens_in_text)
    save_tokenizer(ours, tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    texts = HARD + [text for text in lines(goldens, name) if agrees(text)][::4]
    encoded = theirs(texts, return_offsets_mapping=True)
    wrong = [
        (text, encoding.tokens, encoding.offsets, offsets)
        for text, ids, offsets in zip(texts, encoded["input_ids"], encoded["offset_mapping"], strict=True)
        for encoding in [ours.encode(text)]
        if encoding.ids != ids or encoding.offsets != offsets
    ]
    assert len(texts) > 1000
    assert wrong == []


@pytest.mark.parametrize("truncation", ["longest_first", "only_first", "only_second"])
@pytest.mark.parametrize("stride", [0, 1, 3])
@pytest.mark.parametrize("max_length", [9, 12])
def test_windows(data, tmp_path, truncation, stride, max_length):
    ours = Tokenizer(data / "vocab" / "bert-base-uncased.txt")
    save_tokenizer(ours, tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    words = "The unaffable cats sat on 中国 mats, and the DOGS ran away!".split()
    long = [" ".join(words[:count]) for count in range(len(words) + 1)]
    if truncation == "longest_first":
        inputs = [(text,) for text in long]
    else:
        inputs = [(a, b) if truncation == "only_second" else (b, a) for a in ("", "dog", "a dog") for b in long]
    arguments = {"max_length": max_length, "stride": stride}
    for texts in inputs:
        # In lists, since an empty pair alone counts as none there.
        wanted = theirs(
            *([text] for text in texts),
            **arguments,
            truncation=truncation,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
        )
        windows = ours.windows(*texts, **arguments, truncation=truncation)
        assert [window.ids for window in windows] == wanted["input_ids"]
        assert [window.offsets for window in windows] == wanted["offset_mapping"]
        assert [window.special_tokens_mask for window in windows] == wanted["special_tokens_mask"]
        assert [window.sequence_ids for window in windows] == [wanted.sequence_ids(i) for i in range(len(windows))]
        cut = theirs(*([text] for text in texts), max_length=max_length, truncation=truncation)
        assert ours.encode(*texts, max_length=max_length, truncation=truncation).ids == cut["input_ids"][0]


def foreign(vocabulary, folder, kind, added, **settings):
    """A folder as Transformers writes it."""
    (folder / "vocab").mkdir()
    (folder / "vocab" / "vocab.txt").write_bytes(vocabulary.read_bytes())
    tokenizer = getattr(transformers, kind).from_pretrained(folder / "vocab", **settings)
    if added:
        plain = [token for token in ADDED if not token.special]
        tokenizer.add_tokens([as_theirs(token) for token in plain])
        tokenizer.add_tokens([as_theirs(token) for token in ADDED if token.special], special_tokens=True)
    tokenizer.save_pretrained(folder / "theirs")
    return tokenizer, folder / "theirs"


def as_theirs(token):
    return tokenizers.AddedToken(**dataclasses.asdict(token))


@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("kind", ["BertTokenizer", "BertTokenizerFast"])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("bert-base-uncased", {}),
        ("bert-base-cased", {"do_lower_case": False}),
        ("bert-base-uncased", {"strip_accents": False, "tokenize_chinese_chars": False}),
    ],
)
def test_a_folder_of_transformers(data, tmp_path, kind, added, name, settings):
    theirs, folder = foreign(data / "vocab" / f"{name}.txt", tmp_path, kind, added, **settings)
    ours = load_tokenizer(folder)
    expected = theirs(HARD, return_offsets_mapping=True)
    assert [ours.encode(text).ids for text in HARD] == expected["input_ids"]
    assert [ours.encode(text).offsets for text in HARD] == expected["offset_mapping"]
    assert ours.decode(expected["input_ids"][0]) == theirs.decode(
        expected["input_ids"][0], skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    save_tokenizer(ours, tmp_path / "ours")
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / "ours")
    assert again(HARD)["input_ids"] == expected["input_ids"]
    # As Transformers 4 wrote it: no tokenizer.json, and ids of added tokens in a file of their own.
    tokens = ours.vocabulary.tokens
    ours.vocabulary.save(folder / "vocab.txt")
    (folder / "tokenizer.json").unlink()
    (folder / "added_tokens.json").write_text(
        json.dumps({token: len(tokens) - 1 - i for i, token in enumerate(tokens[ours.vocabulary.piece_count :][::-1])})
    )
    old = load_tokenizer(folder)
    assert old.vocabulary == ours.vocabulary
    assert old.encode("the [MASK] COVID").ids == ours.encode("the [MASK] COVID").ids


@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize("content", ["\n", " ", "\t", "x ", "a\n", " b", ", ", " ,"])
def test_added_tokens_of_white_space(tmp_path, content, normalized):
    tokens = "[PAD] [UNK] [CLS] [SEP] [MASK] a b x , . ##b ##a 中".split()
    (tmp_path / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens))
    theirs = transformers.BertTokenizer(str(tmp_path / "vocab.txt"))
    theirs.add_tokens([tokenizers.AddedToken(content, normalized=normalized)])
    theirs.save_pretrained(tmp_path / "theirs")
    ours = load_tokenizer(tmp_path / "theirs")
    for text in ("a b", "a\nb", "a, b", "x b", "ax ,b", "a\tb", "a\n\nb", " a b\n", "a.,b", "a中 b", "x,x\n.", ""):
        assert ours.ids(text) == theirs(text, add_special_tokens=False)["input_ids"], text


def test_repeated_and_blank_lines(tmp_path):
    """The last of equal lines has the token, and blank lines are ids too."""
    lines = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "", "b", "a", "\u3000", "", "b ", "##b", "c", ""]
    (tmp_path / "vocab.txt").write_text("".join(f"{line}\n" for line in lines))
    theirs = transformers.BertTokenizer(str(tmp_path / "vocab.txt"))
    ours = load_tokenizer(tmp_path)
    text = "a ab c b \u3000 [MASK] d"
    assert ours.ids(text) == theirs(text.replace("[MASK]", "[ MASK]"), add_special_tokens=False)["input_ids"]
    theirs.save_pretrained(tmp_path / "theirs")
    for folder in (tmp_path / "theirs", tmp_path / "ours"):
        again = load_tokenizer(folder, special_tokens_in_text=True)
        assert again.ids(text) == theirs(text, add_special_tokens=False)["input_ids"]
        save_tokenizer(again, tmp_path / "ours")
    last = transformers.AutoTokenizer.from_pretrained(tmp_path / "ours")
    assert last(text, add_special_tokens=False)["input_ids"] == theirs(text, add_special_tokens=False)["input_ids"]
