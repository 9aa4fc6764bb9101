package com.example.kbert.logic

import kotlin.math.ln

/**
 * The tables of a conditional random field (CRF), which chooses the tags of all words together.
 *
 * @param start The score of each tag at the first word.
 * @param end The score of each tag at the last word.
 * @param transitions For each tag, the scores of the tags of the word after it.
 */
class CrfTables(val start: FloatArray, val end: FloatArray, val transitions: Array<FloatArray>)

/**
 * Returns the tags of words with the largest sum of scores, by the algorithm of Viterbi.
 *
 * The sum is that of the scores in the tables and of the logarithms of the probabilities.
 *
 * @param probabilities The probabilities of the tags of each word.
 */
fun bestTags(probabilities: List<FloatArray>, tables: CrfTables): List<Int> {
    if (probabilities.isEmpty()) return emptyList()
    val count = tables.start.size
    var best = FloatArray(count) { tables.start[it] + ln(probabilities[0][it]) }
    val before = ArrayList<IntArray>()
    for (row in probabilities.drop(1)) {
        val reached = FloatArray(count)
        val from = IntArray(count)
        for (tag in 0 until count) {
            val scores = FloatArray(count)
            for (previous in 0 until count) scores[previous] = best[previous] + tables.transitions[previous][tag]
            from[tag] = largest(scores)
            reached[tag] = scores[from[tag]] + ln(row[tag])
        }
        best = reached
        before.add(from)
    }
    val tags = arrayListOf(largest(FloatArray(count) { best[it] + tables.end[it] }))
    for (from in before.reversed()) tags.add(from[tags.last()])
    return tags.reversed()
}
