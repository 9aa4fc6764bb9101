package com.example.kbert.logic

/**
 * A word that BERT's tokenizer found.
 *
 * @param token The index of its first token in the model's input.
 * @param start The offset of its first character, in code points.
 * @param end The offset after its last character, in code points.
 */
data class Word(val token: Int, val start: Int, val end: Int)

private val CJK = arrayOf(
    0x3400..0x4DBF,
    0x4E00..0x9FFF,
    0xF900..0xFAFF,
    0x20000..0x2A6DF,
    0x2A700..0x2B73F,
    0x2B740..0x2B81F,
    0x2B820..0x2CEAF,
    0x2F800..0x2FA1F
)

private val PUNCTUATION = setOf(
    Character.CONNECTOR_PUNCTUATION,
    Character.DASH_PUNCTUATION,
    Character.START_PUNCTUATION,
    Character.END_PUNCTUATION,
    Character.INITIAL_QUOTE_PUNCTUATION,
    Character.FINAL_QUOTE_PUNCTUATION,
    Character.OTHER_PUNCTUATION
)

/** Returns whether a code point separates words: a space, a tab, or the end of a line. */
fun isWhiteSpace(codePoint: Int): Boolean = when (codePoint) {
    0x09, 0x0A, 0x0D, 0x20 -> true
    else -> Character.isSpaceChar(codePoint)
}

/** Returns whether a code point is a word of its own: a punctuation mark or an ideograph. */
fun isWordOfItsOwn(codePoint: Int): Boolean = isPunctuation(codePoint) || CJK.any { codePoint in it }

/**
 * Returns the words that the tokens of a text belong to, in order.
 *
 * The model returns the place of each token, and a word may have several. Spaces, punctuation marks and ideographs
 * separate words. Only the tokenizers of uncased models also split words at "≠", "≮" and "≯", as if they were "=", "<"
 * and ">"; this function does not.
 *
 * @param codePoints The code points of the text.
 * @param starts The start of each token in code points. Start and end of special tokens and padding are equal.
 * @param ends The end of each token in code points.
 */
fun wordsOf(codePoints: IntArray, starts: IntArray, ends: IntArray): List<Word> {
    val words = ArrayList<Word>()
    for (token in starts.indices) {
        if (starts[token] == ends[token]) continue
        val last = words.lastOrNull()
        if (last != null && continues(codePoints, last.end, starts[token])) {
            words[words.size - 1] = last.copy(end = maxOf(last.end, ends[token]))
        } else {
            words.add(Word(token, starts[token], ends[token]))
        }
    }
    return words
}

/** Returns whether the token that begins at `start` continues the word that ends at `end`. */
private fun continues(codePoints: IntArray, end: Int, start: Int): Boolean =
    (end until start).none { isWhiteSpace(codePoints[it]) } &&
        !isWordOfItsOwn(codePoints[end - 1]) && !isWordOfItsOwn(codePoints[start])

private fun isPunctuation(codePoint: Int): Boolean = when (codePoint) {
    in 33..47, in 58..64, in 91..96, in 123..126 -> true
    else -> Character.getType(codePoint).toByte() in PUNCTUATION
}
