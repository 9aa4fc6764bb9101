package com.example.kbert.logic

import kotlin.math.exp

/** A label and its score, such as a probability. */
data class ScoredLabel(val label: String, val score: Float)

/** Returns the softmax of logits. Logits of any size are safe, since the largest one is subtracted first. */
fun softmax(logits: FloatArray): FloatArray {
    if (logits.isEmpty()) return logits
    val largest = logits.fold(Float.NEGATIVE_INFINITY) { most, logit -> maxOf(most, logit) }
    val weights = DoubleArray(logits.size) { exp((logits[it] - largest).toDouble()) }
    val sum = weights.sum()
    return FloatArray(logits.size) { (weights[it] / sum).toFloat() }
}

/** Returns the index of the largest value; the first one of equal values. */
fun largest(values: FloatArray): Int {
    var best = 0
    for (index in 1 until values.size) if (values[index] > values[best]) best = index
    return best
}

/**
 * Returns the labels with the largest scores, the largest first. Labels with equal scores keep their order.
 *
 * @param count The number of labels to return; all labels if there are fewer.
 * @throws IllegalArgumentException The numbers of labels and scores differ.
 */
fun topLabels(labels: List<String>, scores: FloatArray, count: Int): List<ScoredLabel> {
    require(labels.size == scores.size) {
        "expected one score for each of the ${labels.size} labels of kbert.json. Received: ${scores.size} scores; " +
            "take kbert.json from the run that the model was exported from"
    }
    return labels.indices
        .map { ScoredLabel(labels[it], scores[it]) }
        .sortedByDescending { it.score }
        .take(count)
}
