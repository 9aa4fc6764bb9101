import KbertLogic
import MediaPipeTasksText
import SwiftUI

/// A text classifier of MediaPipe, which finds the vocabulary and the labels in the file of the model.
struct ClassifierView: View {
    @StateObject private var runner = ModelRunner<TextClassifier, [ScoredLabel]> {
        let options = TextClassifierOptions()
        options.baseOptions.modelAssetPath = try bundledFile("classifier", "tflite")
        options.maxResults = 10
        return try TextClassifier(options: options)
    }
    @State private var text = ""

    var body: some View {
        Form {
            TextField("Text", text: $text)
            Button("Run") {
                let text = text
                runner.run { classifier in
                    let result = try classifier.classify(text: text)
                    let categories = result.classificationResult.classifications.first?.categories ?? []
                    return categories.map { ScoredLabel(label: $0.categoryName ?? "\($0.index)", score: $0.score) }
                }
            }
            .disabled(runner.model == nil || runner.isBusy)
            Text(runner.status).foregroundColor(.secondary)
            ScoreBars(scores: runner.output ?? [])
        }
        .navigationTitle("Text classifier")
        .onAppear { runner.start() }
    }
}
