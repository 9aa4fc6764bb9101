package com.example.kbert.logic

/**
 * A part of a text with a label, such as the name of a person.
 *
 * @param label The type of the entity, or the tag of a single word.
 * @param start The offset of its first character in the text, in UTF-16 units.
 * @param end The offset after its last character, in UTF-16 units.
 * @param text The part of the text.
 * @param score The mean probability of the tags of its words.
 */
data class Entity(val label: String, val start: Int, val end: Int, val text: String, val score: Float)

/** A word with the index of its tag and the probability of this tag. */
data class TaggedWord(val start: Int, val end: Int, val tag: Int, val score: Float)

/** The letter and the type of a tag: "B-PER" is B and PER. */
data class Tag(val letter: Char, val type: String)

/** Splits a tag as kbert does. The letters M, L and U of other schemes become I, E and S; a bare "PER" is I-PER. */
fun splitTag(tag: String): Tag {
    if (tag == "O") return Tag('O', "")
    val letter = when (tag.substringBefore('-', "")) {
        "B" -> 'B'
        "I", "M" -> 'I'
        "E", "L" -> 'E'
        "S", "U" -> 'S'
        else -> return Tag('I', tag)
    }
    val type = tag.substringAfter('-')
    return if (type == "") Tag('I', tag) else Tag(letter, type)
}

/**
 * Returns the words of a text with their likeliest tags. The first token of a word decides.
 *
 * @param probabilities The probabilities of the tags of each token.
 * @param tables The tables of a model with a CRF, which chooses all tags together.
 */
fun taggedWords(words: List<Word>, probabilities: Array<FloatArray>, tables: CrfTables? = null): List<TaggedWord> {
    val rows = words.map { probabilities[it.token] }
    val tags = if (tables == null) rows.map(::largest) else bestTags(rows, tables)
    return words.indices.map { TaggedWord(words[it].start, words[it].end, tags[it], rows[it][tags[it]]) }
}

/**
 * Returns the entities of a text, in order.
 *
 * A word continues the entity of the word before if its tag is I or E, that of the word before is B or I, and both have
 * the same type.
 *
 * @param labels The tags in the order of the model's output.
 * @param perWord Whether each tag belongs to a single word, such as a part of speech. Each word is a result then.
 */
fun entitiesOf(
    text: CodePoints,
    words: List<TaggedWord>,
    labels: List<String>,
    perWord: Boolean = false
): List<Entity> {
    val tags = labels.map(::splitTag)
    val groups = ArrayList<MutableList<TaggedWord>>()
    var before = Tag('O', "")
    for (word in words) {
        val tag = tags[word.tag]
        val goesOn = before.letter in "BI" && tag.letter in "IE" && tag.type == before.type
        when {
            perWord -> groups.add(mutableListOf(word))
            goesOn -> groups.last().add(word)
            tag.letter != 'O' -> groups.add(mutableListOf(word))
        }
        before = tag
    }
    return groups.map { group ->
        val start = group[0].start
        val end = group.fold(0) { most, word -> maxOf(most, word.end) }
        val label = if (perWord) labels[group[0].tag] else tags[group[0].tag].type
        val score = group.fold(0f) { sum, word -> sum + word.score } / group.size
        Entity(label, text.offsets[start], text.offsets[end], text.part(start, end), score)
    }
}
