"""BLEU and chrF, compared with sacrebleu on random corpora and on real texts."""

import numpy as np
import pytest

from kbert.tasks.metrics.bleu import bleu, bleu_words
from kbert.tasks.metrics.chrf import chrf, sentence_chrf

pytestmark = pytest.mark.peers

WORDS = [
    *"the The cat dogs 3.5 10,000 over-fit naïve don't — “ ” … a ran, İt x_y mat.".split(),
    *"&amp; &quot; - 2020-21 (so) U.S.".split(),
    *"中 文，山 水。 白日 ㍿ ﹏ カナ 한국 ¿ € ½ \u3000 \u2009".split(" "),
]


@pytest.fixture(scope="module")
def sacrebleu():
    return pytest.importorskip("sacrebleu")


@pytest.fixture(scope="module")
def corpora():
    """Corpora of 1 to 40 texts with 1 to 3 references each, of which some are like the texts."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(200):
        texts, references = [], []
        count = int(rng.integers(1, 4))
        for _ in range(int(rng.integers(1, 40))):
            words = rng.choice(WORDS, int(rng.integers(0, 25))).tolist()
            texts.append(" ".join(words))
            changed = [[word if rng.random() < 0.8 else rng.choice(WORDS) for word in words] for _ in range(count)]
            references.append([" ".join([*each, *rng.choice(WORDS, int(rng.integers(1, 4)))]) for each in changed])
        made.append((texts, references))
    return made


@pytest.mark.parametrize("tokenizer", ["13a", "zh"])
@pytest.mark.parametrize("lowercase", [False, True])
def test_bleu_is_that_of_sacrebleu(within, sacrebleu, corpora, tokenizer, lowercase):
    theirs = sacrebleu.metrics.BLEU(tokenize=tokenizer, lowercase=lowercase, force=True)
    wanted = [theirs.corpus_score(texts, list(zip(*references, strict=True))).score for texts, references in corpora]
    found = [bleu(references, texts, tokenizer=tokenizer, lowercase=lowercase) for texts, references in corpora]
    assert min(wanted) < max(wanted)
    within(f"BLEU ({tokenizer}), sacrebleu", found, wanted, bound=1e-9)


@pytest.mark.parametrize("lowercase", [False, True])
def test_chrf_is_that_of_sacrebleu(within, sacrebleu, corpora, lowercase):
    theirs = sacrebleu.metrics.CHRF(lowercase=lowercase)
    wanted = [theirs.corpus_score(texts, list(zip(*references, strict=True))).score for texts, references in corpora]
    found = [chrf(references, texts, lowercase=lowercase) for texts, references in corpora]
    within("chrF, sacrebleu", found, wanted, bound=1e-9)
    texts, references = corpora[0]
    each = [theirs.sentence_score(text, wanted).score for text, wanted in zip(texts, references, strict=True)]
    ours = [sentence_chrf(wanted, text, lowercase=lowercase) for text, wanted in zip(texts, references, strict=True)]
    within("chrF of sentences, sacrebleu", ours, each, bound=1e-9)


@pytest.mark.parametrize("tokenizer", ["13a", "zh"])
def test_words_of_every_character(sacrebleu, tokenizer):
    module = pytest.importorskip(f"sacrebleu.tokenizers.tokenizer_{tokenizer}")
    split = {"13a": "Tokenizer13a", "zh": "TokenizerZh"}[tokenizer]
    theirs = getattr(module, split)()
    for code in range(0x20, 0x3000 * 6):
        if 0xD800 <= code < 0xE000:
            continue
        for text in (f"a{chr(code)}b", f"1{chr(code)}2 {chr(code)}"):
            assert bleu_words(text, tokenizer) == theirs(text.rstrip()).split(), hex(code)
