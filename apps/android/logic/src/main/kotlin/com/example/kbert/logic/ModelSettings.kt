package com.example.kbert.logic

import org.json.JSONException
import org.json.JSONObject

/**
 * What an app has to know about a model: the task and its settings, from the file kbert.json of the run.
 *
 * @param task The name of the task, such as "classification".
 * @param labels The labels in the order of the model's output; empty if the task has none.
 * @param perWord Whether each tag of a tagging model belongs to a single word.
 * @param impossible Whether a question may have no answer.
 * @param nullThreshold No answer is given if its logit exceeds that of the best answer by more than this number.
 * @param maxAnswerLength The length of the longest answer in tokens.
 * @param nBest The number of answers among which the probability of an answer is computed.
 */
data class ModelSettings(
    val task: String,
    val labels: List<String> = emptyList(),
    val perWord: Boolean = false,
    val impossible: Boolean = false,
    val nullThreshold: Float = 0f,
    val maxAnswerLength: Int = 30,
    val nBest: Int = 5
)

/**
 * Reads the settings.
 *
 * @param json The content of kbert.json.
 * @throws IllegalArgumentException The content is not that of a model for a task.
 */
fun readSettings(json: String): ModelSettings = try {
    val task = JSONObject(json).getJSONObject("task")
    val labels = task.optJSONArray("labels")
    ModelSettings(
        task = task.getString("name"),
        labels = if (labels == null) emptyList() else (0 until labels.length()).map { labels.getString(it) },
        perWord = task.optBoolean("per_word", false),
        impossible = task.optBoolean("impossible", false),
        nullThreshold = task.optDouble("null_threshold", 0.0).toFloat(),
        maxAnswerLength = task.optInt("max_answer_length", 30),
        nBest = task.optInt("n_best", 5)
    )
} catch (error: JSONException) {
    throw IllegalArgumentException(
        "expected the kbert.json of a run of `kbert finetune`. Received: another file: ${error.message}", error
    )
}
