package com.example.kbert.logic

private const val OVERLAP = 4

/**
 * Returns where the next window over a long text begins, in code points; null if the window reaches the text's end.
 *
 * A model reads a limited number of code points and tokens. A longer text is read in windows, and neighbouring windows
 * share about a quarter of their tokens. A window begins at a word that follows white space, if there is one.
 *
 * @param text The text.
 * @param begin The offset of the window in code points.
 * @param length The number of code points that the model takes.
 * @param starts The start of each token of the model's input, in code points from `begin` on.
 * @param ends The end of each token.
 */
fun nextWindow(text: CodePoints, begin: Int, length: Int, starts: IntArray, ends: IntArray): Int? {
    val tokens = lastTokens(starts, ends)
    val reached = if (tokens.isEmpty()) begin + length else begin + ends[tokens.last]
    if (reached >= text.size || text.isBlank(reached)) return null
    if (tokens.isEmpty()) return reached
    val count = tokens.last - tokens.first + 1
    val shared = tokens.last + 1 - maxOf(1, count / OVERLAP)..tokens.last
    val next = shared.map { begin + starts[it] }.firstOrNull { it > begin && isWhiteSpace(text.values[it - 1]) }
    return next ?: reached
}

/**
 * Joins the words of neighbouring windows, each word once: a word that two windows share is taken from the window in
 * which it is farther from the edge.
 *
 * @param before The words of the windows so far, with offsets in the whole text.
 * @param after The words of the next window, with offsets in the whole text.
 */
fun joinWords(before: List<TaggedWord>, after: List<TaggedWord>): List<TaggedWord> {
    if (before.isEmpty() || after.isEmpty()) return before + after
    val middle = (after.first().start + before.last().end) / 2
    return before.filter { it.start < middle } + after.filter { it.start >= middle }
}
