package com.example.kbert

import com.example.kbert.logic.Answer
import com.example.kbert.logic.AnswerWindow
import com.example.kbert.logic.CodePoints
import com.example.kbert.logic.CrfTables
import com.example.kbert.logic.Entity
import com.example.kbert.logic.ModelSettings
import com.example.kbert.logic.ScoredLabel
import com.example.kbert.logic.TaggedWord
import com.example.kbert.logic.chooseAnswer
import com.example.kbert.logic.entitiesOf
import com.example.kbert.logic.joinWords
import com.example.kbert.logic.nextWindow
import com.example.kbert.logic.taggedWords
import com.example.kbert.logic.topLabels
import com.example.kbert.logic.wordsOf
import java.nio.ByteBuffer
import java.nio.FloatBuffer
import java.nio.IntBuffer
import org.tensorflow.lite.DataType
import org.tensorflow.lite.Interpreter

private const val TEXT = "code_points"
private const val PAIR = "code_points_pair"
private const val THREADS = 2

/**
 * A model that takes the code points of a text, and has the tokenizer inside. `kbert export litert --input codepoints`
 * writes it.
 *
 * @param file The content of the file; a direct buffer, such as a mapped file.
 * @param settings The settings of the model's task.
 * @throws IllegalArgumentException The file is not such a model.
 */
class CodePointModel(file: ByteBuffer, val settings: ModelSettings) : AutoCloseable {
    private val interpreter = Interpreter(file, Interpreter.Options().setNumThreads(THREADS))
    private val signature = interpreter.signatureKeys.firstOrNull().orEmpty()
    private val inputs = if (signature.isEmpty()) emptyList() else interpreter.getSignatureInputs(signature).toList()

    init {
        require(TEXT in inputs) {
            "expected a model with the input $TEXT, from `kbert export litert --input codepoints`. Received: a model " +
                "with the inputs ${inputs.joinToString()}"
        }
    }

    /** Whether the model reads two texts. */
    val paired: Boolean = PAIR in inputs

    /** Returns the labels of a text with the largest probabilities, the largest first. */
    fun labels(text: String, pair: String, count: Int): List<ScoredLabel> {
        val outputs = outputs(CodePoints(text).padded(length(TEXT)), CodePoints(pair))
        return topLabels(settings.labels, floats(outputs, "probabilities"), count)
    }

    /** Returns the entities of a text. A long text is read in several windows, in each of which a CRF chooses the tags. */
    fun entities(text: String): List<Entity> {
        val codePoints = CodePoints(text)
        var words = emptyList<TaggedWord>()
        var begin: Int? = 0
        while (begin != null) {
            val from: Int = begin
            val input = codePoints.padded(length(TEXT), from)
            val outputs = outputs(input, null)
            val starts = ints(outputs, "starts")
            val ends = ints(outputs, "ends")
            val probabilities = rows(floats(outputs, "probabilities"))
            val tagged = taggedWords(wordsOf(input, starts, ends), probabilities, crfTables(outputs))
            words = joinWords(words, tagged.map { it.copy(start = it.start + from, end = it.end + from) })
            begin = nextWindow(codePoints, from, length(TEXT), starts, ends)
        }
        return entitiesOf(codePoints, words, settings.labels, settings.perWord)
    }

    /** Returns the answer to a question. A long context is read in several windows. */
    fun answer(question: String, context: String): Answer {
        val asked = CodePoints(question).padded(length(TEXT))
        val codePoints = CodePoints(context)
        val windows = ArrayList<AnswerWindow>()
        var begin: Int? = 0
        while (begin != null) {
            val outputs = outputs(asked, codePoints, begin)
            val starts = ints(outputs, "starts")
            val ends = ints(outputs, "ends")
            val startLogits = floats(outputs, "start_logits")
            windows.add(AnswerWindow(startLogits, floats(outputs, "end_logits"), starts, ends, begin))
            begin = nextWindow(codePoints, begin, length(PAIR), starts, ends)
        }
        return chooseAnswer(codePoints, windows, settings)
    }

    override fun close() = interpreter.close()

    private fun length(input: String): Int = interpreter.getInputTensorFromSignature(input, signature).shape()[1]

    private fun outputs(text: IntArray, pair: CodePoints?, begin: Int = 0): Map<String, Any> {
        val given = HashMap<String, Any>()
        given[TEXT] = IntBuffer.wrap(text)
        if (paired) given[PAIR] = IntBuffer.wrap((pair ?: CodePoints("")).padded(length(PAIR), begin))
        val outputs = HashMap<String, Any>()
        for (name in interpreter.getSignatureOutputs(signature)) {
            val tensor = interpreter.getOutputTensorFromSignature(name, signature)
            val integers = tensor.dataType() == DataType.INT32
            outputs[name] =
                if (integers) IntBuffer.allocate(tensor.numElements()) else FloatBuffer.allocate(tensor.numElements())
        }
        interpreter.runSignature(given, outputs, signature)
        return outputs
    }

    /** Returns the tables of a tagger with a CRF; null for other models. */
    private fun crfTables(outputs: Map<String, Any>): CrfTables? {
        if ("transitions" !in outputs) return null
        val transitions = rows(floats(outputs, "transitions"))
        return CrfTables(floats(outputs, "start_transitions"), floats(outputs, "end_transitions"), transitions)
    }

    private fun floats(outputs: Map<String, Any>, name: String): FloatArray =
        (output(outputs, name) as FloatBuffer).array()

    private fun ints(outputs: Map<String, Any>, name: String): IntArray = (output(outputs, name) as IntBuffer).array()

    private fun output(outputs: Map<String, Any>, name: String): Any = requireNotNull(outputs[name]) {
        "expected a model for ${settings.task} with the output $name. Received: a model with the outputs " +
            "${outputs.keys.joinToString()}; take kbert.json from the run that the model was exported from"
    }

    /** Splits numbers into rows with one number for each label. */
    private fun rows(values: FloatArray): Array<FloatArray> {
        val size = settings.labels.size
        return Array(values.size / size) { values.copyOfRange(it * size, (it + 1) * size) }
    }
}
