package com.example.kbert

import android.text.SpannableString
import android.text.Spanned
import android.text.style.BackgroundColorSpan
import android.view.View
import android.widget.TextView
import com.example.kbert.logic.Answer
import com.example.kbert.logic.Entity
import com.example.kbert.logic.ScoredLabel
import com.example.kbert.logic.readSettings
import java.io.FileInputStream
import java.nio.ByteBuffer
import java.nio.channels.FileChannel

private const val MODEL = "code_points.tflite"
private const val SETTINGS = "kbert.json"
private const val MOST_LABELS = 10
private const val HIGHLIGHT = 0xFFFFE082.toInt()

/** What a model says about a text, by its task. */
sealed class TextResult {
    /** The likeliest labels. */
    data class Labels(val labels: List<ScoredLabel>) : TextResult()

    /** The entities. */
    data class Entities(val entities: List<Entity>) : TextResult()

    /** The answer to a question. */
    data class Found(val answer: Answer) : TextResult()
}

/** A model that takes code points: classification, multilabel, tagging or question answering. */
class CodePointsActivity : ModelActivity<CodePointModel, TextResult>() {
    override fun load(): CodePointModel {
        val settings = readSettings(assets.open(SETTINGS).bufferedReader().use { it.readText() })
        return CodePointModel(mapped(MODEL), settings)
    }

    override fun show(model: CodePointModel) {
        if (!model.paired) return
        pair.visibility = View.VISIBLE
        if (model.settings.task == "question-answering") {
            text.setHint(R.string.question_hint)
            pair.setHint(R.string.context_hint)
        }
    }

    override fun run(model: CodePointModel, text: String, pair: String): TextResult = when (model.settings.task) {
        "classification", "multilabel" -> TextResult.Labels(model.labels(text, pair, MOST_LABELS))
        "tagging" -> TextResult.Entities(model.entities(text))
        "question-answering" -> TextResult.Found(model.answer(text, pair))
        else -> throw IllegalArgumentException(
            "expected a model for classification, multilabel, tagging or question-answering. Received: " +
                model.settings.task
        )
    }

    override fun show(result: TextResult, text: String, pair: String) = when (result) {
        is TextResult.Labels -> showBars(result.labels)
        is TextResult.Entities -> showEntities(text, result.entities)
        is TextResult.Found -> showAnswer(pair, result.answer)
    }

    private fun showEntities(text: String, entities: List<Entity>) {
        if (entities.isEmpty()) return showText(getString(R.string.no_entities))
        showText(highlighted(text, entities.map { Pair(it.start, it.end) }))
        showBars(entities.map { ScoredLabel("${it.label} ${it.text}", it.score) })
    }

    private fun showAnswer(context: String, answer: Answer) {
        if (answer.text.isEmpty()) return showText(getString(R.string.no_answer))
        showBars(listOf(ScoredLabel(answer.text, answer.score)))
        showText(highlighted(context, listOf(Pair(answer.start, answer.end))))
    }

    private fun showText(text: CharSequence) = results.addView(TextView(this).also { it.text = text })

    /** Returns the text with a coloured background behind parts, which are given by their start and end. */
    private fun highlighted(text: String, parts: List<Pair<Int, Int>>): CharSequence {
        val shown = SpannableString(text)
        for ((start, end) in parts) {
            shown.setSpan(BackgroundColorSpan(HIGHLIGHT), start, end, Spanned.SPAN_EXCLUSIVE_EXCLUSIVE)
        }
        return shown
    }

    /** Maps an asset into memory, which must not be compressed: see `noCompress` in build.gradle.kts. */
    private fun mapped(asset: String): ByteBuffer = assets.openFd(asset).use { file ->
        FileInputStream(file.fileDescriptor).use {
            it.channel.map(FileChannel.MapMode.READ_ONLY, file.startOffset, file.declaredLength)
        }
    }
}
