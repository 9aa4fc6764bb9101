private let overlap = 4

/// Returns where the next window over a long text begins, in code points; nil if the window reaches the text's end.
///
/// A model reads a limited number of code points and tokens. A longer text is read in windows, and neighbouring windows
/// share about a quarter of their tokens. A window begins at a word that follows white space, if there is one.
///
/// - Parameters:
///   - text: The text.
///   - begin: The offset of the window in code points.
///   - length: The number of code points that the model takes.
///   - starts: The start of each token of the model's input, in code points from `begin` on.
///   - ends: The end of each token.
public func nextWindow(_ text: CodePoints, after begin: Int, length: Int, starts: [Int32], ends: [Int32]) -> Int? {
    let tokens = lastTokens(starts, ends)
    let reached = begin + (tokens.last.map { Int(ends[$0]) } ?? length)
    if reached >= text.count || text.isBlank(from: reached) { return nil }
    let shared = tokens.suffix(max(1, tokens.count / overlap)).map { begin + Int(starts[$0]) }
    return shared.first { $0 > begin && isWhiteSpace(text.values[$0 - 1]) } ?? reached
}

/// Joins the words of neighbouring windows, each word once: a word that two windows share is taken from the window in
/// which it is farther from the edge.
///
/// - Parameters:
///   - before: The words of the windows so far, with places in the whole text.
///   - after: The words of the next window, with places in the whole text.
public func joinWords(_ before: [TaggedWord], _ after: [TaggedWord]) -> [TaggedWord] {
    guard let last = before.last, let first = after.first else { return before + after }
    let middle = (first.range.lowerBound + last.range.upperBound) / 2
    return before.filter { $0.range.lowerBound < middle } + after.filter { $0.range.lowerBound >= middle }
}
