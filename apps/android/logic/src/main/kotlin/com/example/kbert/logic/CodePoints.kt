package com.example.kbert.logic

private const val REPLACEMENT = 0xFFFD

/**
 * The code points of a text, as a model reads them, and their places in the text.
 *
 * Models count code points, and strings of Kotlin count UTF-16 units: a character outside the Basic Multilingual Plane,
 * such as an emoji, is one code point and two units.
 *
 * @param text The text. A NUL, which would be padding, and half a surrogate pair become U+FFFD; the tokenizer drops it.
 */
class CodePoints(val text: String) {
    /** The code points, UTF-32. */
    val values: IntArray

    /** The offset of each code point in the text in UTF-16 units, and the length of the text as the last entry. */
    val offsets: IntArray

    init {
        val count = text.codePointCount(0, text.length)
        values = IntArray(count)
        offsets = IntArray(count + 1)
        var offset = 0
        for (index in 0 until count) {
            val value = text.codePointAt(offset)
            offsets[index] = offset
            offset += Character.charCount(value)
            values[index] = if (value == 0 || value in 0xD800..0xDFFF) REPLACEMENT else value
        }
        offsets[count] = offset
    }

    /** The number of code points. */
    val size: Int get() = values.size

    /**
     * Returns `length` code points from `begin` on, with zeros as padding after the last one.
     *
     * @param length The number of code points that the model takes. Text after them is left out.
     */
    fun padded(length: Int, begin: Int = 0): IntArray {
        val end = minOf(size, begin + length)
        return values.copyOfRange(begin, end).copyOf(length)
    }

    /** Returns the part of the text between two offsets in code points. */
    fun part(start: Int, end: Int): String = text.substring(offsets[start], offsets[end])

    /** Returns whether all code points from `begin` on are white space. */
    fun isBlank(begin: Int = 0): Boolean = (begin until size).all { isWhiteSpace(values[it]) }
}
