package com.example.kbert

import android.app.Activity
import android.os.Bundle
import android.os.SystemClock
import android.view.View
import android.widget.EditText
import android.widget.LinearLayout
import android.widget.ProgressBar
import android.widget.TextView
import com.example.kbert.logic.ScoredLabel
import java.util.concurrent.Executors

/**
 * A screen with a text, a button and the results of a model.
 *
 * The model is loaded, run and closed in one thread of its own, so the screen never waits for it.
 */
abstract class ModelActivity<Model : AutoCloseable, Result> : Activity() {
    private val worker = Executors.newSingleThreadExecutor()
    @Volatile private var model: Model? = null

    protected val text: EditText by lazy { findViewById<EditText>(R.id.text) }
    protected val pair: EditText by lazy { findViewById<EditText>(R.id.pair) }
    protected val results: LinearLayout by lazy { findViewById<LinearLayout>(R.id.results) }
    private val button: View by lazy { findViewById<View>(R.id.run) }
    private val status: TextView by lazy { findViewById<TextView>(R.id.status) }

    /** Loads the model, in the worker thread. */
    protected abstract fun load(): Model

    /** Prepares the screen for the model. */
    protected open fun show(model: Model) = Unit

    /** Runs the model, in the worker thread. */
    protected abstract fun run(model: Model, text: String, pair: String): Result

    /** Shows a result. */
    protected abstract fun show(result: Result, text: String, pair: String)

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.model)
        button.setOnClickListener { runModel() }
        inWorker({ load().also { model = it } }) {
            show(it)
            button.isEnabled = true
        }
    }

    override fun onDestroy() {
        worker.execute { model?.close() }
        worker.shutdown()
        super.onDestroy()
    }

    /** Shows labels with their scores as bars. */
    protected fun showBars(scores: List<ScoredLabel>) {
        for (score in scores) {
            val row = layoutInflater.inflate(R.layout.bar, results, false)
            row.findViewById<TextView>(R.id.label).text = getString(R.string.percent, score.label, 100 * score.score)
            row.findViewById<ProgressBar>(R.id.bar).progress = Math.round(1000 * score.score)
            results.addView(row)
        }
    }

    private fun runModel() {
        val first = text.text.toString()
        val second = pair.text.toString()
        button.isEnabled = false
        val started = SystemClock.elapsedRealtime()
        inWorker({ run(model!!, first, second) }) {
            status.text = getString(R.string.took, SystemClock.elapsedRealtime() - started)
            results.removeAllViews()
            show(it, first, second)
            button.isEnabled = true
        }
    }

    /** Computes a value in the worker thread and shows it; or shows the message of an error. */
    private fun <T> inWorker(work: () -> T, show: (T) -> Unit) {
        worker.execute {
            try {
                val value = work()
                runOnUiThread { if (!isDestroyed) show(value) }
            } catch (error: Exception) {
                runOnUiThread {
                    status.text = error.message ?: error.toString()
                    button.isEnabled = model != null
                }
            }
        }
    }
}
