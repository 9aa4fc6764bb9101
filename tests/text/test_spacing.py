from kbert.text.spacing import Kind, token_kinds, token_text


def test_kinds_of_tokens():
    tokens = ["cat", "##s", ".", "(", "-", "'", "s", "10", "500", ",", '"', "中", "，", "##中", "##", "l"]
    expected = [
        Kind.WORD,
        Kind.CONTINUATION | Kind.WORD | Kind.CONTRACTION,
        Kind.CLOSING | Kind.NUMBER_MARK,
        Kind.OPENING,
        Kind.JOINING,
        Kind.APOSTROPHE,
        Kind.WORD | Kind.CONTRACTION,
        Kind.WORD | Kind.NUMBER,
        Kind.WORD | Kind.NUMBER | Kind.THREE_DIGITS,
        Kind.CLOSING | Kind.COMMA,
        Kind.QUOTE,
        Kind.WORD | Kind.UNSPACED,
        Kind.UNSPACED,
        Kind.CONTINUATION | Kind.WORD | Kind.UNSPACED,
        Kind(0),
        Kind.WORD | Kind.ELISION,
    ]
    assert [Kind(int(kind)) for kind in token_kinds(tokens)] == expected


def test_the_text_of_a_token():
    assert [token_text(token) for token in ("cat", "##s", "##", "#")] == ["cat", "s", "##", "#"]
