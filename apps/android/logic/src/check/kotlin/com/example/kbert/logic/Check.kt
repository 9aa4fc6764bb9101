package com.example.kbert.logic

import org.json.JSONArray
import org.json.JSONObject

/**
 * Answers cases for tests/apps/test_android.py, which compares the answers with those of kbert.
 *
 * A case is one line of JSON on standard input: the name of a function and its arguments. Its answer is one line of
 * JSON on standard output.
 */
fun main() {
    generateSequence(::readLine).forEach { println(answer(JSONObject(it))) }
}

private fun answer(case: JSONObject): Any = when (val name = case.getString("function")) {
    "codePoints" -> {
        val text = CodePoints(case.getString("text"))
        JSONObject()
            .put("padded", json(text.padded(case.getInt("length"), case.getInt("begin"))))
            .put("offsets", json(text.offsets))
            .put("blank", text.isBlank(case.getInt("begin")))
    }
    "softmax" -> JSONArray(softmax(floats(case.getJSONArray("logits"))).map { it.toDouble() })
    "topLabels" -> JSONArray(
        topLabels(strings(case.getJSONArray("labels")), floats(case.getJSONArray("scores")), case.getInt("count"))
            .map { JSONArray(listOf(it.label, it.score.toDouble())) }
    )
    "words" -> JSONArray(words(case).map { JSONArray(listOf(it.token, it.start, it.end)) })
    "entities" -> JSONArray(
        entitiesOf(
            CodePoints(case.getString("text")),
            taggedWords(words(case), rows(case.getJSONArray("probabilities")), case.optJSONObject("tables")?.let(::tables)),
            strings(case.getJSONArray("labels")),
            case.getBoolean("perWord")
        ).map { JSONArray(listOf(it.label, it.start, it.end, it.text, it.score.toDouble())) }
    )
    "bestSpans" -> JSONArray(
        bestSpans(windows(case), case.getInt("longest"), case.getInt("most"))
            .map { JSONArray(listOf(it.start, it.end, it.logit.toDouble())) }
    )
    "answer" -> {
        val settings = readSettings(case.getString("settings"))
        val answer = chooseAnswer(CodePoints(case.getString("context")), windows(case), settings)
        JSONArray(listOf(answer.text, answer.start, answer.end, answer.score.toDouble()))
    }
    "nextWindow" -> JSONArray(
        listOf(
            nextWindow(
                CodePoints(case.getString("text")), case.getInt("begin"), case.getInt("length"),
                ints(case.getJSONArray("starts")), ints(case.getJSONArray("ends"))
            ) ?: -1
        )
    )
    "settings" -> {
        val settings = readSettings(case.getString("settings"))
        JSONArray(
            listOf(
                settings.task, JSONArray(settings.labels), settings.perWord, settings.impossible,
                settings.nullThreshold.toDouble(), settings.maxAnswerLength, settings.nBest
            )
        )
    }
    else -> throw IllegalArgumentException("expected the name of a function. Received: $name")
}

private fun tables(tables: JSONObject) = CrfTables(
    floats(tables.getJSONArray("start")), floats(tables.getJSONArray("end")), rows(tables.getJSONArray("transitions"))
)

private fun words(case: JSONObject): List<Word> = wordsOf(
    CodePoints(case.getString("text")).values, ints(case.getJSONArray("starts")), ints(case.getJSONArray("ends"))
)

private fun windows(case: JSONObject): List<AnswerWindow> {
    val windows = case.getJSONArray("windows")
    return (0 until windows.length()).map { windows.getJSONObject(it) }.map {
        AnswerWindow(
            floats(it.getJSONArray("startLogits")), floats(it.getJSONArray("endLogits")),
            ints(it.getJSONArray("starts")), ints(it.getJSONArray("ends")), it.getInt("begin")
        )
    }
}

private fun json(values: IntArray) = JSONArray(values.toList())

private fun ints(array: JSONArray) = IntArray(array.length()) { array.getInt(it) }

private fun floats(array: JSONArray) = FloatArray(array.length()) { array.getDouble(it).toFloat() }

private fun strings(array: JSONArray) = (0 until array.length()).map { array.getString(it) }

private fun rows(array: JSONArray) = Array(array.length()) { floats(array.getJSONArray(it)) }
