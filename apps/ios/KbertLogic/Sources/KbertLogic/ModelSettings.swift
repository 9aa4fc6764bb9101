import Foundation

/// What an app has to know about a model: the task and its settings, from the file kbert.json of the run.
public struct ModelSettings: Equatable, Sendable {
    /// The name of the task, such as "classification".
    public var task: String
    /// The labels in the order of the model's output; empty if the task has none.
    public var labels: [String] = []
    /// Whether each tag of a tagging model belongs to a single word.
    public var perWord = false
    /// Whether a question may have no answer.
    public var impossible = false
    /// No answer is given if its logit exceeds that of the best answer by more than this number.
    public var nullThreshold: Float = 0
    /// The length of the longest answer in tokens.
    public var maxAnswerLength = 30
    /// The number of answers among which the probability of an answer is computed.
    public var nBest = 5

    public init(task: String) {
        self.task = task
    }

    /// Reads the settings.
    ///
    /// - Parameter json: The content of kbert.json.
    /// - Throws: `ModelError` if the content is not that of a model for a task.
    public init(json: Data) throws {
        let task: File.Task
        do {
            task = try JSONDecoder().decode(File.self, from: json).task
        } catch {
            throw ModelError(
                "expected the kbert.json of a run of `kbert finetune`. Received: another file: \(error)")
        }
        self.init(task: task.name)
        labels = task.labels ?? []
        perWord = task.per_word ?? perWord
        impossible = task.impossible ?? impossible
        nullThreshold = task.null_threshold ?? nullThreshold
        maxAnswerLength = task.max_answer_length ?? maxAnswerLength
        nBest = task.n_best ?? nBest
    }

    /// The parts of kbert.json that an app needs, with the names of the file.
    private struct File: Decodable {
        struct Task: Decodable {
            let name: String
            let labels: [String]?
            let per_word: Bool?
            let impossible: Bool?
            let null_threshold: Float?
            let max_answer_length: Int?
            let n_best: Int?
        }

        let task: Task
    }
}
