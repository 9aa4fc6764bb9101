package com.example.kbert.logic

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test

private const val EMOJI = "\uD83D\uDE00"

class LogicTest {
    @Test
    fun aSurrogatePairIsOneCodePoint() {
        val text = CodePoints("a${EMOJI}b")
        assertArrayEquals(intArrayOf(0x61, 0x1F600, 0x62, 0), text.padded(4))
        assertArrayEquals(intArrayOf(0, 1, 3, 4), text.offsets)
        assertEquals(EMOJI, text.part(1, 2))
    }

    @Test
    fun aLongTextIsCutAndHalfAPairIsReplaced() {
        val text = CodePoints("\uD83Dab\u0000")
        assertArrayEquals(intArrayOf(0xFFFD, 0x61), text.padded(2))
        assertArrayEquals(intArrayOf(0x62, 0xFFFD, 0), text.padded(3, begin = 2))
    }

    @Test
    fun softmaxIsSafeForLargeLogits() {
        assertArrayEquals(floatArrayOf(0.5f, 0.5f, 0f), softmax(floatArrayOf(1000f, 1000f, -1000f)), 1e-6f)
    }

    @Test
    fun labelsAreSortedByScore() {
        val top = topLabels(listOf("bad", "good", "mixed"), floatArrayOf(0.1f, 0.7f, 0.2f), 2)
        assertEquals(listOf(ScoredLabel("good", 0.7f), ScoredLabel("mixed", 0.2f)), top)
    }

    @Test
    fun otherLabelsThanTheModelHasAreRefused() {
        val error = runCatching { topLabels(listOf("a"), floatArrayOf(0.5f, 0.5f), 1) }.exceptionOrNull()
        assertTrue(error is IllegalArgumentException && "2 scores" in error.message!!)
    }

    @Test
    fun tokensBecomeWords() {
        // [CLS] un ##aff ##able ! [SEP] and padding
        val words = wordsOf(
            CodePoints("unaffable!").values, intArrayOf(0, 0, 2, 5, 9, 0, 0), intArrayOf(0, 2, 5, 9, 10, 0, 0)
        )
        assertEquals(listOf(Word(1, 0, 9), Word(4, 9, 10)), words)
    }

    @Test
    fun tagsBecomeEntitiesWithOffsetsInUtf16() {
        val text = CodePoints("$EMOJI Ada Lovelace, London")
        val labels = listOf("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
        val words = listOf(
            TaggedWord(0, 1, 0, 1f), TaggedWord(2, 5, 1, 0.75f), TaggedWord(6, 14, 2, 0.5f),
            TaggedWord(14, 15, 0, 1f), TaggedWord(16, 22, 4, 0.9f)
        )
        val entities = entitiesOf(text, words, labels)
        assertEquals(
            listOf(Entity("PER", 3, 15, "Ada Lovelace", 0.625f), Entity("LOC", 17, 23, "London", 0.9f)), entities
        )
        assertEquals("Ada Lovelace", text.text.substring(3, 15))
    }

    @Test
    fun aCrfChoosesTheTagsTogether() {
        val words = listOf(floatArrayOf(0.6f, 0.4f), floatArrayOf(0.6f, 0.4f))
        val zeros = floatArrayOf(0f, 0f)
        fun tables(start: FloatArray = zeros, end: FloatArray = zeros, other: Float = 0f) =
            CrfTables(start, end, arrayOf(floatArrayOf(0f, other), floatArrayOf(other, 0f)))
        assertEquals(listOf(0, 0), bestTags(words, tables()))
        assertEquals(listOf(1, 0), bestTags(words, tables(start = floatArrayOf(0f, 1f))))
        assertEquals(listOf(0, 1), bestTags(words, tables(end = floatArrayOf(0f, 1f))))
        assertEquals(listOf(1, 1), bestTags(words, tables(end = floatArrayOf(0f, 1f), other = -1f)))
        assertEquals(emptyList<Int>(), bestTags(emptyList(), tables()))
    }

    @Test
    fun theBestSpanIsTheAnswer() {
        // [CLS] who [SEP] ada wrote it [SEP]
        val starts = intArrayOf(0, 0, 0, 0, 4, 10, 0)
        val ends = intArrayOf(0, 3, 0, 3, 9, 12, 0)
        val window = AnswerWindow(
            floatArrayOf(0f, 9f, 9f, 5f, 1f, 0f, 9f), floatArrayOf(0f, 9f, 9f, 4f, 2f, 0f, 9f), starts, ends
        )
        assertEquals(3..5, window.contextTokens)
        assertEquals(
            listOf(AnswerSpan(0, 3, 9f), AnswerSpan(0, 9, 7f), AnswerSpan(0, 12, 5f)),
            bestSpans(listOf(window), longest = 3, most = 3)
        )
        val context = CodePoints("ada wrote it")
        assertEquals("ada", chooseAnswer(context, listOf(window), ModelSettings("question-answering")).text)
        val strict = ModelSettings("question-answering", impossible = true, nullThreshold = -20f)
        assertEquals("", chooseAnswer(context, listOf(window), strict).text)
    }

    @Test
    fun aLongTextIsReadInWindows() {
        val text = CodePoints("one two three four")
        val starts = intArrayOf(0, 0, 4, 8, 10, 0)
        val ends = intArrayOf(0, 3, 7, 10, 13, 0)
        assertEquals(8, nextWindow(text, 0, 13, starts.copyOf(4), ends.copyOf(4)) ?: -1)
        assertNull(nextWindow(CodePoints("one two "), 0, 8, starts.copyOf(3), ends.copyOf(3)))
    }

    @Test
    fun aWordOfTwoWindowsIsTakenFromTheOneWhereItIsFartherFromTheEdge() {
        val before = listOf(TaggedWord(0, 3, 0, 1f), TaggedWord(4, 7, 1, 1f), TaggedWord(8, 11, 2, 1f))
        val after = listOf(TaggedWord(4, 7, 3, 1f), TaggedWord(8, 11, 4, 1f), TaggedWord(12, 15, 5, 1f))
        assertEquals(listOf(0, 1, 4, 5), joinWords(before, after).map { it.tag })
    }

    @Test
    fun settingsAreRead() {
        val settings = readSettings("""{"kind": "task", "task": {"name": "tagging", "labels": ["O", "B-X"]}}""")
        assertEquals(ModelSettings("tagging", listOf("O", "B-X")), settings)
        val error = runCatching { readSettings("{}") }.exceptionOrNull()
        assertTrue(error is IllegalArgumentException)
    }
}
