import Foundation

/// An error about a model or its settings, with a message for the developer.
public struct ModelError: LocalizedError, Equatable {
    public let errorDescription: String?

    public init(_ message: String) {
        errorDescription = message
    }
}
