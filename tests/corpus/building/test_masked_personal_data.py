import logging
import random

from kbert.corpus.building.build import build_corpus
from kbert.corpus.records.manifest import Manifest


def test_a_corpus_holds_placeholders_instead_of_personal_data(tmp_path, caplog):
    """The records are those of a text in which the values were replaced before, and no message shows a word of it."""
    caplog.set_level(logging.DEBUG, "kbert")
    rng = random.Random(0)
    words = ["Lovelace", "schrieb", "heute", "an", "das", "Amt"]
    raw, masked = [], []
    for _ in range(40):
        sentence = " ".join(rng.choices(words, k=8))
        raw.append(f"{sentence} ann{rng.randrange(100)}@example.org +49 30 {rng.randrange(10**6, 10**7)}.")
        masked.append(f"{sentence} [EMAIL] [PHONE].")
        if rng.random() < 0.3:
            raw.append("")
            masked.append("")
    (tmp_path / "raw.txt").write_text("\n".join(raw) + "\n" + "q" * 300 + "\n")
    (tmp_path / "masked.txt").write_text("\n".join(masked) + "\n" + "q" * 300 + "\n")
    vocabulary = tmp_path / "vocab.txt"
    entries = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[", "]", "email", "phone", "an", "das", "."]
    vocabulary.write_text("\n".join(entries) + "\n")
    common = {"vocab": vocabulary, "sequence_length": 24}
    manifest = build_corpus([tmp_path / "raw.txt"], output=tmp_path / "corpus", mask_pii=True, **common)
    messages = " ".join(caplog.messages)
    assert "of the tokens are [UNK]" in messages
    assert "longer than 200 characters" in messages
    assert not any(word.lower() in messages.lower() for word in ("lovelace", "schrieb", "example.org", "qqq"))
    build_corpus([tmp_path / "masked.txt"], output=tmp_path / "expected", **common)
    assert manifest.counts["masked_email"] == manifest.counts["masked_phone"] == 40
    assert manifest.settings["mask_pii"] is True
    expected = Manifest.load(tmp_path / "expected")
    assert "mask_pii" not in expected.settings
    assert [shard.sha256 for shard in manifest.shards] == [shard.sha256 for shard in expected.shards]
