#if canImport(Darwin)
import Darwin
#else
import Glibc
#endif

/// The tables of a conditional random field (CRF), which chooses the tags of all words together.
public struct CrfTables: Equatable, Sendable {
    /// The score of each tag at the first word.
    public let start: [Float]
    /// The score of each tag at the last word.
    public let end: [Float]
    /// The scores of the tags of the word after a word, one tag of this word after the other.
    public let transitions: [Float]

    public init(start: [Float], end: [Float], transitions: [Float]) {
        self.start = start
        self.end = end
        self.transitions = transitions
    }
}

/// Returns the tags of words with the largest sum of scores, by the algorithm of Viterbi.
///
/// The sum is that of the scores in the tables and of the logarithms of the probabilities.
///
/// - Parameter probabilities: The probabilities of the tags of each word.
public func bestTags(_ probabilities: [[Float]], tables: CrfTables) -> [Int] {
    guard let first = probabilities.first else { return [] }
    let count = tables.start.count
    var best: [Float] = zip(tables.start, first).map { $0 + log($1) }
    var before: [[Int]] = []
    for row in probabilities.dropFirst() {
        var reached: [Float] = []
        var from: [Int] = []
        for tag in 0..<count {
            let scores: [Float] = (0..<count).map { best[$0] + tables.transitions[$0 * count + tag] }
            let previous = largest(scores[...])
            from.append(previous)
            reached.append(scores[previous] + log(row[tag]))
        }
        best = reached
        before.append(from)
    }
    let last: [Float] = zip(best, tables.end).map { $0 + $1 }
    var tags = [largest(last[...])]
    for from in before.reversed() {
        tags.append(from[tags[tags.count - 1]])
    }
    return tags.reversed()
}
