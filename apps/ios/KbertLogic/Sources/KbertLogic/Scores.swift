#if canImport(Darwin)
import Darwin
#else
import Glibc
#endif

/// A label and its score, such as a probability.
public struct ScoredLabel: Equatable, Sendable {
    public let label: String
    public let score: Float

    public init(label: String, score: Float) {
        self.label = label
        self.score = score
    }
}

/// Returns the softmax of logits. Logits of any size are safe, since the largest one is subtracted first.
public func softmax(_ logits: [Float]) -> [Float] {
    guard let largest = logits.max() else { return [] }
    let weights = logits.map { exp(Double($0 - largest)) }
    let sum = weights.reduce(0, +)
    return weights.map { Float($0 / sum) }
}

/// Returns the index of the largest value; the first one of equal values.
public func largest(_ values: ArraySlice<Float>) -> Int {
    var best = values.startIndex
    for index in values.indices where values[index] > values[best] {
        best = index
    }
    return best - values.startIndex
}

/// Returns the labels with the largest scores, the largest first. Labels with equal scores keep their order.
///
/// - Parameter count: The number of labels to return; all labels if there are fewer.
/// - Throws: `ModelError` if the numbers of labels and scores differ.
public func topLabels(_ labels: [String], scores: [Float], count: Int) throws -> [ScoredLabel] {
    guard labels.count == scores.count else {
        throw ModelError(
            "expected one score for each of the \(labels.count) labels of kbert.json. Received: \(scores.count) "
                + "scores; take kbert.json from the run that the model was exported from")
    }
    let pairs = zip(labels, scores).map { ScoredLabel(label: $0, score: $1) }
    return Array(sortedDown(pairs, by: \.score).prefix(count))
}

/// Returns the values sorted by a number, the largest first. Values with equal numbers keep their order.
func sortedDown<Value>(_ values: [Value], by number: (Value) -> Float) -> [Value] {
    // The order of equal elements after `sorted` is not documented, so the index decides about them.
    values.enumerated()
        .map { (place: $0.offset, value: $0.element, number: number($0.element)) }
        .sorted { $0.number > $1.number || ($0.number == $1.number && $0.place < $1.place) }
        .map(\.value)
}
