package com.example.kbert

import com.example.kbert.logic.ScoredLabel
import com.google.mediapipe.tasks.core.BaseOptions
import com.google.mediapipe.tasks.text.textclassifier.TextClassifier

private const val MODEL = "classifier.tflite"

/** A text classifier of MediaPipe, which finds the vocabulary and the labels in the file of the model. */
class ClassifierActivity : ModelActivity<TextClassifier, List<ScoredLabel>>() {
    override fun load(): TextClassifier {
        val base = BaseOptions.builder().setModelAssetPath(MODEL).build()
        val options = TextClassifier.TextClassifierOptions.builder().setBaseOptions(base).setMaxResults(10).build()
        return TextClassifier.createFromOptions(this, options)
    }

    override fun run(model: TextClassifier, text: String, pair: String): List<ScoredLabel> =
        model.classify(text).classificationResult().classifications()[0].categories()
            .map { ScoredLabel(it.categoryName(), it.score()) }

    override fun show(result: List<ScoredLabel>, text: String, pair: String) = showBars(result)
}
