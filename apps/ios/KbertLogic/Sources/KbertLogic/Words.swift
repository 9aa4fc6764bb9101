/// A word that BERT's tokenizer found.
public struct Word: Equatable, Sendable {
    /// The index of its first token in the model's input.
    public let token: Int
    /// The place of the word, in code points.
    public let range: Range<Int>

    public init(token: Int, range: Range<Int>) {
        self.token = token
        self.range = range
    }
}

private let cjk: [ClosedRange<Int32>] = [
    0x3400...0x4DBF,
    0x4E00...0x9FFF,
    0xF900...0xFAFF,
    0x20000...0x2A6DF,
    0x2A700...0x2B73F,
    0x2B740...0x2B81F,
    0x2B820...0x2CEAF,
    0x2F800...0x2FA1F,
]

/// Returns whether a code point separates words: a space, a tab, or the end of a line.
func isWhiteSpace(_ codePoint: Int32) -> Bool {
    switch codePoint {
    case 0x09, 0x0A, 0x0D, 0x20: return true
    default:
        switch category(codePoint) {
        case .spaceSeparator, .lineSeparator, .paragraphSeparator: return true
        default: return false
        }
    }
}

/// Returns whether a code point is a word of its own: a punctuation mark or an ideograph.
func isWordOfItsOwn(_ codePoint: Int32) -> Bool {
    isPunctuation(codePoint) || cjk.contains { $0.contains(codePoint) }
}

/// Returns the words that the tokens of a text belong to, in order.
///
/// The model returns the place of each token, and a word may have several. Spaces, punctuation marks and ideographs
/// separate words. Only the tokenizers of uncased models also split words at "≠", "≮" and "≯", as if they were "=", "<"
/// and ">"; this function does not.
///
/// - Parameters:
///   - codePoints: The code points of the text.
///   - starts: The start of each token in code points. Start and end of special tokens and padding are equal.
///   - ends: The end of each token in code points.
public func words(in codePoints: [Int32], starts: [Int32], ends: [Int32]) -> [Word] {
    var words: [Word] = []
    for (token, (start, end)) in zip(starts, ends).enumerated() where start != end {
        let range = Int(start)..<Int(end)
        if let last = words.last, continues(codePoints, from: last.range.upperBound, to: range.lowerBound) {
            let end = max(last.range.upperBound, range.upperBound)
            words[words.count - 1] = Word(token: last.token, range: last.range.lowerBound..<end)
        } else {
            words.append(Word(token: token, range: range))
        }
    }
    return words
}

/// Returns whether the token that begins at `start` continues the word that ends at `end`.
private func continues(_ codePoints: [Int32], from end: Int, to start: Int) -> Bool {
    let between = end < start ? codePoints[end..<start] : []
    return !between.contains(where: isWhiteSpace)
        && !isWordOfItsOwn(codePoints[end - 1]) && !isWordOfItsOwn(codePoints[start])
}

private func isPunctuation(_ codePoint: Int32) -> Bool {
    switch codePoint {
    case 33...47, 58...64, 91...96, 123...126: return true
    default:
        switch category(codePoint) {
        case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
            .finalPunctuation, .otherPunctuation:
            return true
        default: return false
        }
    }
}

private func category(_ codePoint: Int32) -> Unicode.GeneralCategory? {
    Unicode.Scalar(UInt32(codePoint))?.properties.generalCategory
}
