/// A part of a context that may be the answer: its place in code points, and the sum of its start and end logits.
public struct AnswerSpan: Equatable, Sendable {
    public let range: Range<Int>
    public let logit: Float

    public init(range: Range<Int>, logit: Float) {
        self.range = range
        self.logit = logit
    }
}

/// The answer to a question.
public struct Answer: Equatable, Sendable {
    /// The answer; "" if the context has none.
    public let text: String
    /// The place of the answer in the context, in UTF-16 units.
    public let range: Range<Int>
    /// The probability of the answer among the best spans and, if there may be no answer, "no answer".
    public let score: Float
}

/// The output of a question answering model for one window of a context.
public struct AnswerWindow: Sendable {
    let startLogits: [Float]
    let endLogits: [Float]
    let starts: [Int32]
    let ends: [Int32]
    let begin: Int

    /// The tokens of the context. They follow the question: the last tokens with a place in a text.
    public let contextTokens: Range<Int>

    /// - Parameters:
    ///   - startLogits: The logit of each token as the first one of the answer.
    ///   - endLogits: The logit of each token as the last one of the answer.
    ///   - starts: The start of each token in its text, in code points. It is the end for special tokens and padding.
    ///   - ends: The end of each token in its text, in code points.
    ///   - begin: The offset of the window in the context, in code points.
    public init(startLogits: [Float], endLogits: [Float], starts: [Int32], ends: [Int32], begin: Int = 0) {
        self.startLogits = startLogits
        self.endLogits = endLogits
        self.starts = starts
        self.ends = ends
        self.begin = begin
        contextTokens = lastTokens(starts, ends)
    }

    /// The logit of "no answer", which is that of [CLS].
    public var nullLogit: Float { startLogits[0] + endLogits[0] }

    func spans(longest: Int) -> [AnswerSpan] {
        var spans: [AnswerSpan] = []
        for first in contextTokens {
            for last in first..<min(first + longest, contextTokens.upperBound) {
                let range = begin + Int(starts[first])..<begin + Int(ends[last])
                spans.append(AnswerSpan(range: range, logit: startLogits[first] + endLogits[last]))
            }
        }
        return sortedDown(spans, by: \.logit)
    }
}

/// Returns the likeliest spans of a context, the best first. The result is that of kbert.
///
/// - Parameters:
///   - windows: The windows of the context.
///   - longest: The number of tokens of the longest span.
///   - most: The largest number of spans to return.
public func bestSpans(_ windows: [AnswerWindow], longest: Int, most: Int) -> [AnswerSpan] {
    // Windows overlap, so a span may be among the best of two windows, and of three at the end of a context.
    let some = 3 * most
    let spans = sortedDown(windows.flatMap { $0.spans(longest: longest).prefix(some) }, by: \.logit)
    var seen: Set<Range<Int>> = []
    return Array(spans.prefix(some).filter { seen.insert($0.range).inserted }.prefix(most))
}

/// Returns the answer to a question, as kbert gives it.
///
/// - Parameters:
///   - context: The text that the windows are from.
///   - windows: The windows of the context, at least one.
///   - settings: The settings of the task.
public func chooseAnswer(in context: CodePoints, windows: [AnswerWindow], settings: ModelSettings) -> Answer {
    let spans = bestSpans(windows, longest: settings.maxAnswerLength, most: settings.nBest)
    let nullLogit = windows.map(\.nullLogit).min() ?? .infinity
    let scores = softmax(spans.map(\.logit) + (settings.impossible ? [nullLogit] : []))
    guard let best = spans.first, !settings.impossible || nullLogit - best.logit <= settings.nullThreshold else {
        return Answer(text: "", range: 0..<0, score: settings.impossible ? scores[scores.count - 1] : 0)
    }
    let range = context.offsets[best.range.lowerBound]..<context.offsets[best.range.upperBound]
    return Answer(text: context.part(best.range), range: range, score: scores[0])
}

/// Returns the last tokens in a row whose start and end differ; an empty range if there are none.
func lastTokens(_ starts: [Int32], _ ends: [Int32]) -> Range<Int> {
    guard let last = starts.indices.last(where: { starts[$0] != ends[$0] }) else { return 0..<0 }
    let before = starts[..<last].indices.last { starts[$0] == ends[$0] }
    return (before ?? -1) + 1..<last + 1
}
