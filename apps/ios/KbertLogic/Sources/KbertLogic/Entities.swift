/// A part of a text with a label, such as the name of a person.
public struct Entity: Equatable, Sendable {
    /// The type of the entity, or the tag of a single word.
    public let label: String
    /// The place of the entity in the text, in UTF-16 units.
    public let range: Range<Int>
    /// The part of the text.
    public let text: String
    /// The mean probability of the tags of its words.
    public let score: Float

    public init(label: String, range: Range<Int>, text: String, score: Float) {
        self.label = label
        self.range = range
        self.text = text
        self.score = score
    }
}

/// A word with its place in code points, the index of its tag, and the probability of this tag.
public struct TaggedWord: Equatable, Sendable {
    public let range: Range<Int>
    public let tag: Int
    public let score: Float

    public init(range: Range<Int>, tag: Int, score: Float) {
        self.range = range
        self.tag = tag
        self.score = score
    }

    /// Returns the word at a place that is `count` code points later.
    public func moved(by count: Int) -> TaggedWord {
        TaggedWord(range: range.lowerBound + count..<range.upperBound + count, tag: tag, score: score)
    }
}

/// The letter and the type of a tag: "B-PER" is B and PER.
public struct Tag: Equatable, Sendable {
    public let letter: Character
    public let type: String

    /// Splits a tag as kbert does. The letters M, L and U of other schemes become I, E and S; a bare "PER" is I-PER.
    public init(_ tag: String) {
        let letters: [Substring: Character] = ["B": "B", "I": "I", "E": "E", "S": "S", "M": "I", "L": "E", "U": "S"]
        let parts = tag.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        if tag == "O" {
            letter = "O"
            type = ""
        } else if parts.count == 2, !parts[1].isEmpty, let known = letters[parts[0]] {
            letter = known
            type = String(parts[1])
        } else {
            letter = "I"
            type = tag
        }
    }
}

/// Returns the words of a text with their likeliest tags. The first token of a word decides.
///
/// - Parameters:
///   - probabilities: The probabilities of the tags of all tokens, one token after the other.
///   - count: The number of tags.
///   - tables: The tables of a model with a CRF, which chooses all tags together.
public func taggedWords(
    _ words: [Word], probabilities: [Float], count: Int, tables: CrfTables? = nil
) -> [TaggedWord] {
    let rows = words.map { Array(probabilities[$0.token * count..<($0.token + 1) * count]) }
    let tags = tables.map { bestTags(rows, tables: $0) } ?? rows.map { largest($0[...]) }
    return words.indices.map { TaggedWord(range: words[$0].range, tag: tags[$0], score: rows[$0][tags[$0]]) }
}

/// Returns the entities of a text, in order.
///
/// A word continues the entity of the word before if its tag is I or E, that of the word before is B or I, and both
/// have the same type.
///
/// - Parameters:
///   - labels: The tags in the order of the model's output.
///   - perWord: Whether each tag belongs to a single word, such as a part of speech. Each word is a result then.
public func entities(in text: CodePoints, words: [TaggedWord], labels: [String], perWord: Bool = false) -> [Entity] {
    let tags = labels.map(Tag.init)
    var groups: [[TaggedWord]] = []
    var before = Tag("O")
    for word in words {
        let tag = tags[word.tag]
        let goesOn = "BI".contains(before.letter) && "IE".contains(tag.letter) && tag.type == before.type
        if !perWord && goesOn {
            groups[groups.count - 1].append(word)
        } else if perWord || tag.letter != "O" {
            groups.append([word])
        }
        before = tag
    }
    return groups.map { group in
        let start = group[0].range.lowerBound
        let end = group.map(\.range.upperBound).max() ?? start
        return Entity(
            label: perWord ? labels[group[0].tag] : tags[group[0].tag].type,
            range: text.offsets[start]..<text.offsets[end],
            text: text.part(start..<end),
            score: group.map(\.score).reduce(0, +) / Float(group.count)
        )
    }
}
