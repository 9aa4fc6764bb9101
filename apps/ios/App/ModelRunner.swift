import Foundation
import KbertLogic

/// Loads a model and runs it on a queue of its own, so the screen never waits for it.
@MainActor
final class ModelRunner<Model, Output>: ObservableObject {
    @Published private(set) var model: Model?
    @Published private(set) var output: Output?
    @Published private(set) var status = ""
    @Published private(set) var isBusy = false

    private let queue = DispatchQueue(label: "kbert.model", qos: .userInitiated)
    private let load: () throws -> Model

    init(load: @escaping () throws -> Model) {
        self.load = load
    }

    /// Loads the model if it is not loaded yet.
    func start() {
        guard model == nil, !isBusy else { return }
        let load = load
        perform(load) { self.model = $0 }
    }

    /// Runs the model, and publishes its output and the time that it took.
    func run(_ work: @escaping (Model) throws -> Output) {
        guard let model else { return }
        let started = Date()
        perform({ try work(model) }) {
            self.output = $0
            self.status = String(format: "%.0f ms", 1000 * Date().timeIntervalSince(started))
        }
    }

    private func perform<Value>(_ work: @escaping () throws -> Value, then show: @escaping @MainActor (Value) -> Void) {
        isBusy = true
        queue.async {
            let result = Result { try work() }
            DispatchQueue.main.async {
                self.isBusy = false
                switch result {
                case .success(let value): show(value)
                case .failure(let error): self.status = error.localizedDescription
                }
            }
        }
    }
}

/// Returns the path of a file in the app.
///
/// - Throws: `ModelError` if the app has no such file.
func bundledFile(_ name: String, _ type: String) throws -> String {
    guard let path = Bundle.main.path(forResource: name, ofType: type) else {
        throw ModelError("expected the file \(name).\(type) in App/Models. The app was built without it")
    }
    return path
}
