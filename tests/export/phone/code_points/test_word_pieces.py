import tensorflow as tf

from kbert.export.phone.code_points.replacements import known_replacements
from kbert.export.phone.code_points.word_pieces import WordPieces
from kbert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

VOCABULARY = Vocabulary([*SPECIAL_TOKENS, "ab", "##c", "##cd", "a", "##bcd", "Ab", "##", "##d."])


def split(words, *, max_word_length=200, placeholders=()):
    """The ids of words, and the place of each piece in all characters."""
    pieces = WordPieces(VOCABULARY, known_replacements(True, True, True), max_word_length, placeholders)
    text = "".join(words)
    digits = {str(place): pieces.first_placeholder + place for place in range(10)}
    classes = [(pieces.classes | digits).get(character, 1) for character in text]
    is_first = [place == 0 for word in words for place in range(len(word))]
    # Nothing, which counts as one word, and is left out of the result.
    found = pieces.split(tf.constant([*classes, 0, 0]), tf.constant([*is_first, True, False]))
    places = tf.where(found.begins)[:-1, 0]
    assert found.begins.numpy().tolist()[-2:] == [True, False]
    return pieces.ids(found, places).numpy().tolist(), places.numpy().tolist()


def test_a_word_that_has_no_pieces_to_its_end_is_unknown_as_a_whole():
    # The longest piece first, and no other one if it leads nowhere: "a ##bcd" is never tried.
    assert split(["abc", "abcd", "abce", "a", "ab", "abcdbcd", "abcdb"]) == (
        [5, 6, 5, 7, 1, 8, 5, 5, 7, 9, 1],
        [0, 2, 3, 5, 7, 11, 12, 14, 16, 18, 21],
    )


def test_words_above_the_largest_length_are_unknown():
    assert split(["ab", "abc", "a", "abc", "ab"], max_word_length=2) == ([5, 1, 8, 1, 5], [0, 2, 5, 6, 9])
    assert split(["ab" + "c" * 198, "ab" + "c" * 199]) == ([5, *[6] * 198, 1], [0, *range(2, 200), 200])


def test_placeholders_have_the_ids_of_their_tokens():
    assert split(["a", "1", "0", "ab"], placeholders=[4, 3]) == ([8, 3, 4, 5], [0, 1, 2, 3])


def test_pieces_that_normalization_never_writes_have_no_classes():
    pieces = WordPieces(VOCABULARY, known_replacements(True, True, True), 200, [])
    assert "".join(sorted(pieces.classes)) == "abcd"
