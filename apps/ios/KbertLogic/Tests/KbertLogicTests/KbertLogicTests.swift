import XCTest

@testable import KbertLogic

final class KbertLogicTests: XCTestCase {
    func testACharacterOfTwoUnitsIsOneCodePoint() {
        let text = CodePoints("a😀b")
        XCTAssertEqual(text.padded(to: 4), [0x61, 0x1F600, 0x62, 0])
        XCTAssertEqual(text.offsets, [0, 1, 3, 4])
        XCTAssertEqual(text.part(1..<2), "😀")
    }

    func testALongTextIsCutAndNulIsReplaced() {
        let text = CodePoints("ab\0")
        XCTAssertEqual(text.padded(to: 2), [0x61, 0x62])
        XCTAssertEqual(text.padded(to: 3, from: 1), [0x62, 0xFFFD, 0])
    }

    func testSoftmaxIsSafeForLargeLogits() {
        XCTAssertEqual(softmax([1000, 1000, -1000]), [0.5, 0.5, 0])
        XCTAssertEqual(softmax([]), [])
    }

    func testLabelsAreSortedByScore() throws {
        let top = try topLabels(["bad", "good", "mixed"], scores: [0.1, 0.7, 0.2], count: 2)
        XCTAssertEqual(top, [ScoredLabel(label: "good", score: 0.7), ScoredLabel(label: "mixed", score: 0.2)])
    }

    func testOtherLabelsThanTheModelHasAreRefused() {
        XCTAssertThrowsError(try topLabels(["a"], scores: [0.5, 0.5], count: 1)) {
            XCTAssertTrue($0.localizedDescription.contains("2 scores"), $0.localizedDescription)
        }
    }

    func testTokensBecomeWords() {
        // [CLS] un ##aff ##able ! [SEP] and padding
        let found = words(
            in: CodePoints("unaffable!").values, starts: [0, 0, 2, 5, 9, 0, 0], ends: [0, 2, 5, 9, 10, 0, 0])
        XCTAssertEqual(found, [Word(token: 1, range: 0..<9), Word(token: 4, range: 9..<10)])
    }

    func testTagsBecomeEntitiesWithOffsetsInUTF16() {
        let text = CodePoints("😀 Ada Lovelace, London")
        let words = [
            TaggedWord(range: 0..<1, tag: 0, score: 1), TaggedWord(range: 2..<5, tag: 1, score: 0.75),
            TaggedWord(range: 6..<14, tag: 2, score: 0.5), TaggedWord(range: 14..<15, tag: 0, score: 1),
            TaggedWord(range: 16..<22, tag: 4, score: 0.9),
        ]
        let found = entities(in: text, words: words, labels: ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"])
        XCTAssertEqual(
            found,
            [
                Entity(label: "PER", range: 3..<15, text: "Ada Lovelace", score: 0.625),
                Entity(label: "LOC", range: 17..<23, text: "London", score: 0.9),
            ])
        let units = Array(text.text.utf16)[3..<15]
        XCTAssertEqual(String(decoding: units, as: UTF16.self), "Ada Lovelace")
    }

    func testACrfChoosesTheTagsTogether() {
        let words: [[Float]] = [[0.6, 0.4], [0.6, 0.4]]
        func tables(start: [Float] = [0, 0], end: [Float] = [0, 0], other: Float = 0) -> CrfTables {
            CrfTables(start: start, end: end, transitions: [0, other, other, 0])
        }
        XCTAssertEqual(bestTags(words, tables: tables()), [0, 0])
        XCTAssertEqual(bestTags(words, tables: tables(start: [0, 1])), [1, 0])
        XCTAssertEqual(bestTags(words, tables: tables(end: [0, 1])), [0, 1])
        XCTAssertEqual(bestTags(words, tables: tables(end: [0, 1], other: -1)), [1, 1])
        XCTAssertEqual(bestTags([], tables: tables()), [])
    }

    func testTheBestSpanIsTheAnswer() {
        // [CLS] who [SEP] ada wrote it [SEP]
        let window = AnswerWindow(
            startLogits: [0, 9, 9, 5, 1, 0, 9], endLogits: [0, 9, 9, 4, 2, 0, 9],
            starts: [0, 0, 0, 0, 4, 10, 0], ends: [0, 3, 0, 3, 9, 12, 0])
        XCTAssertEqual(window.contextTokens, 3..<6)
        XCTAssertEqual(
            bestSpans([window], longest: 3, most: 3),
            [
                AnswerSpan(range: 0..<3, logit: 9), AnswerSpan(range: 0..<9, logit: 7),
                AnswerSpan(range: 0..<12, logit: 5),
            ])
        let context = CodePoints("ada wrote it")
        var settings = ModelSettings(task: "question-answering")
        XCTAssertEqual(chooseAnswer(in: context, windows: [window], settings: settings).text, "ada")
        settings.impossible = true
        settings.nullThreshold = -20
        XCTAssertEqual(chooseAnswer(in: context, windows: [window], settings: settings).text, "")
    }

    func testALongTextIsReadInWindows() {
        let text = CodePoints("one two three four")
        XCTAssertEqual(nextWindow(text, after: 0, length: 13, starts: [0, 0, 4, 8], ends: [0, 3, 7, 10]), 8)
        XCTAssertNil(nextWindow(CodePoints("one two "), after: 0, length: 8, starts: [0, 0, 4], ends: [0, 3, 7]))
    }

    func testAWordOfTwoWindowsIsTakenFromTheOneWhereItIsFartherFromTheEdge() {
        func word(_ range: Range<Int>, _ tag: Int) -> TaggedWord { TaggedWord(range: range, tag: tag, score: 1) }
        let before = [word(0..<3, 0), word(4..<7, 1), word(8..<11, 2)]
        let after = [word(4..<7, 3), word(8..<11, 4), word(12..<15, 5)]
        XCTAssertEqual(joinWords(before, after).map(\.tag), [0, 1, 4, 5])
    }

    func testSettingsAreRead() throws {
        let json = #"{"kind": "task", "task": {"name": "tagging", "labels": ["O", "B-X"]}}"#
        var expected = ModelSettings(task: "tagging")
        expected.labels = ["O", "B-X"]
        XCTAssertEqual(try ModelSettings(json: Data(json.utf8)), expected)
        XCTAssertThrowsError(try ModelSettings(json: Data("{}".utf8)))
    }
}
