import KbertLogic
import SwiftUI

/// What a model says about a text, by its task.
enum TextResult {
    case labels([ScoredLabel])
    case entities([Entity], text: String)
    case answer(Answer, context: String)
}

/// A model that takes code points: classification, multilabel, tagging or question answering.
struct CodePointsView: View {
    @StateObject private var runner = ModelRunner<CodePointModel, TextResult> {
        let json = try Data(contentsOf: URL(fileURLWithPath: bundledFile("kbert", "json")))
        return try CodePointModel(path: bundledFile("code_points", "tflite"), settings: ModelSettings(json: json))
    }
    @State private var text = ""
    @State private var pair = ""

    var body: some View {
        let asks = runner.model?.settings.task == "question-answering"
        Form {
            TextField(asks ? "Question" : "Text", text: $text)
            if runner.model?.isPaired == true {
                TextField(asks ? "Text with the answer" : "Second text", text: $pair)
            }
            Button("Run") {
                let (text, pair) = (text, pair)
                runner.run { try result(of: $0, text: text, pair: pair) }
            }
            .disabled(runner.model == nil || runner.isBusy)
            Text(runner.status).foregroundColor(.secondary)
            if let output = runner.output {
                ResultView(result: output)
            }
        }
        .navigationTitle("Text in, answers out")
        .onAppear { runner.start() }
    }
}

private func result(of model: CodePointModel, text: String, pair: String) throws -> TextResult {
    switch model.settings.task {
    case "classification", "multilabel":
        return .labels(try model.labels(text: text, pair: pair, count: 10))
    case "tagging":
        return .entities(try model.entities(text: text), text: text)
    case "question-answering":
        return .answer(try model.answer(question: text, context: pair), context: pair)
    default:
        throw ModelError(
            "expected a model for classification, multilabel, tagging or question-answering. Received: "
                + model.settings.task)
    }
}

private struct ResultView: View {
    let result: TextResult

    var body: some View {
        switch result {
        case .labels(let labels):
            ScoreBars(scores: labels)
        case .entities(let entities, let text):
            if entities.isEmpty {
                Text("Nothing was found.")
            } else {
                Text(highlighted(text, entities.map(\.range)))
                ScoreBars(scores: entities.map { ScoredLabel(label: "\($0.label) \($0.text)", score: $0.score) })
            }
        case .answer(let answer, let context):
            if answer.text.isEmpty {
                Text("The text has no answer.")
            } else {
                ScoreBars(scores: [ScoredLabel(label: answer.text, score: answer.score)])
                Text(highlighted(context, [answer.range]))
            }
        }
    }
}

/// Returns the text with a coloured background behind parts, which are given in UTF-16 units.
private func highlighted(_ text: String, _ parts: [Range<Int>]) -> AttributedString {
    var shown = AttributedString(text)
    for part in parts {
        if let place = Range(NSRange(part), in: text), let range = Range(place, in: shown) {
            shown[range].backgroundColor = Color.yellow
        }
    }
    return shown
}
