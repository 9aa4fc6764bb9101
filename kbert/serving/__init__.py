"""A server that answers TensorFlow Serving's REST and gRPC APIs for any SavedModels."""
