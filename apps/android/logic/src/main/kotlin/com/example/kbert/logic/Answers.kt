package com.example.kbert.logic

/** A part of a context that may be the answer: its offsets in code points, and the sum of its start and end logits. */
data class AnswerSpan(val start: Int, val end: Int, val logit: Float)

/**
 * The answer to a question.
 *
 * @param text The answer; "" if the context has none.
 * @param start The offset of the answer in the context, in UTF-16 units.
 * @param end The offset after the answer, in UTF-16 units.
 * @param score The probability of the answer among the best spans and, if there may be no answer, "no answer".
 */
data class Answer(val text: String, val start: Int, val end: Int, val score: Float)

/**
 * The output of a question answering model for one window of a context.
 *
 * @param startLogits The logit of each token as the first one of the answer.
 * @param endLogits The logit of each token as the last one of the answer.
 * @param starts The start of each token in its text, in code points; equal to its end for special tokens and padding.
 * @param ends The end of each token in its text, in code points.
 * @param begin The offset of the window in the context, in code points.
 */
class AnswerWindow(
    val startLogits: FloatArray,
    val endLogits: FloatArray,
    private val starts: IntArray,
    private val ends: IntArray,
    private val begin: Int = 0
) {
    /** The tokens of the context. They follow the question: the last tokens with a place in a text. */
    val contextTokens: IntRange = lastTokens(starts, ends)

    /** The logit of "no answer", which is that of [CLS]. */
    val nullLogit: Float get() = startLogits[0] + endLogits[0]

    fun startOf(token: Int): Int = begin + starts[token]

    fun endOf(token: Int): Int = begin + ends[token]
}

/**
 * Returns the likeliest spans of a context, the best first. The result is that of kbert.
 *
 * @param windows The windows of the context.
 * @param longest The number of tokens of the longest span.
 * @param most The largest number of spans to return.
 */
fun bestSpans(windows: List<AnswerWindow>, longest: Int, most: Int): List<AnswerSpan> {
    // Windows overlap, so a span may be among the best of two windows, and of three at the end of a context.
    val some = 3 * most
    return windows.flatMap { spansOf(it, longest).take(some) }
        .sortedByDescending { it.logit }
        .take(some)
        .distinctBy { Pair(it.start, it.end) }
        .take(most)
}

private fun spansOf(window: AnswerWindow, longest: Int): List<AnswerSpan> {
    val spans = ArrayList<AnswerSpan>()
    val tokens = window.contextTokens
    for (first in tokens) {
        for (last in first..minOf(first + longest - 1, tokens.last)) {
            val logit = window.startLogits[first] + window.endLogits[last]
            spans.add(AnswerSpan(window.startOf(first), window.endOf(last), logit))
        }
    }
    return spans.sortedByDescending { it.logit }
}

/**
 * Returns the answer to a question, as kbert gives it.
 *
 * @param context The text that the windows are from.
 * @param windows The windows of the context, at least one.
 * @param settings The settings of the task.
 */
fun chooseAnswer(context: CodePoints, windows: List<AnswerWindow>, settings: ModelSettings): Answer {
    val spans = bestSpans(windows, settings.maxAnswerLength, settings.nBest)
    val nullLogit = windows.fold(Float.POSITIVE_INFINITY) { least, window -> minOf(least, window.nullLogit) }
    val logits = spans.map { it.logit } + (if (settings.impossible) listOf(nullLogit) else emptyList())
    val scores = softmax(logits.toFloatArray())
    val best = spans.firstOrNull()
    if (best == null || (settings.impossible && nullLogit - best.logit > settings.nullThreshold)) {
        return Answer("", 0, 0, if (settings.impossible) scores.last() else 0f)
    }
    val part = context.part(best.start, best.end)
    return Answer(part, context.offsets[best.start], context.offsets[best.end], scores[0])
}

/** Returns the last tokens in a row whose start and end differ; an empty range if there are none. */
internal fun lastTokens(starts: IntArray, ends: IntArray): IntRange {
    var last = starts.size - 1
    while (last >= 0 && starts[last] == ends[last]) last--
    var first = last
    while (first > 0 && starts[first - 1] != ends[first - 1]) first--
    return if (last < 0) IntRange.EMPTY else first..last
}
