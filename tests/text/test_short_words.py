import numpy as np

from kbert.text.short_words import ShortPieces, ShortTable, eights_of, short_keys


def test_the_hash_table_holds_many():
    rng = np.random.default_rng(0)
    keys = np.unique(rng.integers(1, 1 << 40, 30_000).astype(np.uint64))
    table = ShortTable()
    zero = np.zeros_like(keys)
    for begin in range(0, len(keys), 5000):
        part = slice(begin, begin + 5000)
        table.add(keys[part], zero[part], np.arange(len(keys))[part])
    assert table.find(keys, zero).tolist() == list(range(len(keys)))
    assert (table.find(keys, zero + np.uint64(1)) == -1).all()
    assert (table.find(zero, keys) == -1).all()


def test_keys_are_the_bytes():
    characters = np.frombuffer(b"cat abcdefghijklmnop x", np.uint8)
    first, second = short_keys(eights_of(characters), np.array([0, 4, 21]), np.array([3, 16, 1]))
    assert [int(key).to_bytes(8, "little") for key in first] == [b"cat\0\0\0\0\0", b"abcdefgh", b"x\0\0\0\0\0\0\0"]
    assert [int(key).to_bytes(8, "little") for key in second] == [b"\0" * 8, b"ijklmnop", b"\0" * 8]


def test_pieces(vocabulary):
    """cats, unaffable, matted (no ##t: unknown), a."""
    characters = np.frombuffer(b"cats unaffable matted a", np.uint8)
    ids, ends = ShortPieces(vocabulary).ids(eights_of(characters), np.array([0, 5, 15, 22]), np.array([4, 9, 6, 1]))
    assert ids.tolist() == [7, 15, 17, 18, 19, 1, 6]
    assert ends.tolist() == [2, 5, 6, 7]
