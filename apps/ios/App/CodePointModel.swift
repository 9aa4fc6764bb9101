import KbertLogic
import LiteRT

/// A model that takes the code points of a text, and has the tokenizer inside. `kbert export litert --input codepoints`
/// writes it.
///
/// An object is used by one thread at a time.
final class CodePointModel {
    private static let text = "code_points"
    private static let pair = "code_points_pair"

    let settings: ModelSettings
    private let model: CompiledModel
    private let inputs: [String]
    private let outputs: [String]

    /// - Parameters:
    ///   - path: The path of the file.
    ///   - settings: The settings of the model's task.
    /// - Throws: `ModelError` if the file is not such a model.
    init(path: String, settings: ModelSettings) throws {
        let options = try Options()
        try options.setHardwareAccelerators([.cpu])
        let model = try CompiledModel(filePath: path, environment: try Environment(), options: options)
        inputs = try (0..<model.inputCount()).map { try model.inputName(inputIndex: $0) }
        outputs = try (0..<model.outputCount()).map { try model.outputName(outputIndex: $0) }
        self.model = model
        self.settings = settings
        guard inputs.contains(Self.text) else {
            throw ModelError(
                "expected a model with the input \(Self.text), from `kbert export litert --input codepoints`. Received: "
                    + "a model with the inputs \(inputs.joined(separator: ", "))")
        }
    }

    /// Whether the model reads two texts.
    var isPaired: Bool { inputs.contains(Self.pair) }

    /// Returns the labels of a text with the largest probabilities, the largest first.
    func labels(text: String, pair: String, count: Int) throws -> [ScoredLabel] {
        let found = try run(CodePoints(text).padded(to: length(Self.text)), CodePoints(pair))
        return try topLabels(settings.labels, scores: found.read("probabilities"), count: count)
    }

    /// Returns the entities of a text. A long text is read in several windows, in each of which a CRF chooses the tags.
    func entities(text: String) throws -> [Entity] {
        let codePoints = CodePoints(text)
        let length = try length(Self.text)
        var tagged: [TaggedWord] = []
        var begin: Int? = 0
        while let from = begin {
            let input = codePoints.padded(to: length, from: from)
            let found = try run(input, nil)
            let starts: [Int32] = try found.read("starts")
            let ends: [Int32] = try found.read("ends")
            let places = words(in: input, starts: starts, ends: ends)
            let probabilities: [Float] = try found.read("probabilities")
            let window = taggedWords(
                places, probabilities: probabilities, count: settings.labels.count, tables: try found.crfTables())
            tagged = joinWords(tagged, window.map { $0.moved(by: from) })
            begin = nextWindow(codePoints, after: from, length: length, starts: starts, ends: ends)
        }
        return KbertLogic.entities(in: codePoints, words: tagged, labels: settings.labels, perWord: settings.perWord)
    }

    /// Returns the answer to a question. A long context is read in several windows.
    func answer(question: String, context: String) throws -> Answer {
        let asked = try CodePoints(question).padded(to: length(Self.text))
        let codePoints = CodePoints(context)
        let length = try length(Self.pair)
        var windows: [AnswerWindow] = []
        var begin: Int? = 0
        while let from = begin {
            let found = try run(asked, codePoints, from: from)
            let starts: [Int32] = try found.read("starts")
            let ends: [Int32] = try found.read("ends")
            windows.append(
                AnswerWindow(
                    startLogits: try found.read("start_logits"), endLogits: try found.read("end_logits"),
                    starts: starts, ends: ends, begin: from))
            begin = nextWindow(codePoints, after: from, length: length, starts: starts, ends: ends)
        }
        return chooseAnswer(in: codePoints, windows: windows, settings: settings)
    }

    private func length(_ input: String) throws -> Int {
        guard let index = inputs.firstIndex(of: input) else {
            throw ModelError(
                "expected a model for \(settings.task) with the input \(input). Received: a model with the inputs "
                    + inputs.joined(separator: ", "))
        }
        return try model.getInputTensorType(inputIndex: index).layout.dimensions[1]
    }

    private func run(_ text: [Int32], _ pair: CodePoints?, from begin: Int = 0) throws -> Outputs {
        let buffers = try model.createInputBuffers()
        for (name, buffer) in zip(inputs, buffers) {
            switch name {
            case Self.text: try buffer.write(text)
            case Self.pair: try buffer.write((pair ?? CodePoints("")).padded(to: length(name), from: begin))
            default: throw ModelError("expected the inputs \(Self.text) and \(Self.pair). Received: \(name)")
            }
        }
        let found = try model.run(inputs: buffers)
        return Outputs(buffers: Dictionary(uniqueKeysWithValues: zip(outputs, found)), task: settings.task)
    }

    /// The outputs of a run, by name.
    private struct Outputs {
        let buffers: [String: TensorBuffer]
        let task: String

        /// Returns the tables of a tagger with a CRF; nil for other models.
        func crfTables() throws -> CrfTables? {
            if buffers["transitions"] == nil { return nil }
            return CrfTables(
                start: try read("start_transitions"), end: try read("end_transitions"),
                transitions: try read("transitions"))
        }

        func read<Element>(_ name: String) throws -> [Element] {
            guard let buffer = buffers[name] else {
                throw ModelError(
                    "expected a model for \(task) with the output \(name). Received: a model with the outputs "
                        + buffers.keys.sorted().joined(separator: ", ")
                        + "; take kbert.json from the run that the model was exported from")
            }
            return try buffer.read()
        }
    }
}
