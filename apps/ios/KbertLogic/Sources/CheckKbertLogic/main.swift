// Answers cases for tests/apps/test_ios.py, which compares the answers with those of kbert.
//
// A case is one line of JSON on standard input: the name of a function and its arguments. Its answer is one line of
// JSON on standard output.

import Foundation
import KbertLogic

/// The arguments of all functions. Each case has those of its function.
struct Case: Decodable {
    struct Window: Decodable {
        let startLogits, endLogits: [Float]
        let starts, ends: [Int32]
        let begin: Int
    }

    struct Tables: Decodable {
        let start, end: [Float]
        let transitions: [[Float]]
    }

    let function: String
    let text, context, settings: String?
    let length, begin, count, longest, most: Int?
    let logits, scores: [Float]?
    let labels: [String]?
    let starts, ends: [Int32]?
    let probabilities: [[Float]]?
    let perWord: Bool?
    let windows: [Window]?
    let tables: Tables?

    var places: [Word] {
        words(in: CodePoints(text!).values, starts: starts!, ends: ends!)
    }

    var crfTables: CrfTables? {
        tables.map { CrfTables(start: $0.start, end: $0.end, transitions: Array($0.transitions.joined())) }
    }

    var answerWindows: [AnswerWindow] {
        windows!.map {
            AnswerWindow(
                startLogits: $0.startLogits, endLogits: $0.endLogits, starts: $0.starts, ends: $0.ends, begin: $0.begin)
        }
    }

    var modelSettings: ModelSettings {
        get throws { try ModelSettings(json: Data(settings!.utf8)) }
    }
}

func answer(to question: Case) throws -> Any {
    switch question.function {
    case "codePoints":
        let text = CodePoints(question.text!)
        return [
            "padded": text.padded(to: question.length!, from: question.begin!),
            "offsets": text.offsets,
            "blank": text.isBlank(from: question.begin!),
        ] as [String: Any]
    case "softmax":
        return softmax(question.logits!)
    case "topLabels":
        return try topLabels(question.labels!, scores: question.scores!, count: question.count!)
            .map { [$0.label, $0.score] as [Any] }
    case "words":
        return question.places.map { [$0.token, $0.range.lowerBound, $0.range.upperBound] }
    case "entities":
        let rows = question.probabilities!
        let words = taggedWords(
            question.places, probabilities: Array(rows.joined()), count: rows[0].count, tables: question.crfTables)
        let text = CodePoints(question.text!)
        return entities(in: text, words: words, labels: question.labels!, perWord: question.perWord!)
            .map { [$0.label, $0.range.lowerBound, $0.range.upperBound, $0.text, $0.score] as [Any] }
    case "bestSpans":
        return bestSpans(question.answerWindows, longest: question.longest!, most: question.most!)
            .map { [$0.range.lowerBound, $0.range.upperBound, $0.logit] as [Any] }
    case "answer":
        let context = CodePoints(question.context!)
        let found = chooseAnswer(in: context, windows: question.answerWindows, settings: try question.modelSettings)
        return [found.text, found.range.lowerBound, found.range.upperBound, found.score] as [Any]
    case "nextWindow":
        let next = nextWindow(
            CodePoints(question.text!), after: question.begin!, length: question.length!, starts: question.starts!,
            ends: question.ends!)
        return [next ?? -1]
    case "settings":
        let settings = try question.modelSettings
        return [
            settings.task, settings.labels, settings.perWord, settings.impossible, settings.nullThreshold,
            settings.maxAnswerLength, settings.nBest,
        ] as [Any]
    default:
        throw ModelError("expected the name of a function. Received: \(question.function)")
    }
}

while let line = readLine() {
    let question = try JSONDecoder().decode(Case.self, from: Data(line.utf8))
    let data = try JSONSerialization.data(withJSONObject: answer(to: question))
    print(String(decoding: data, as: UTF8.self))
}
