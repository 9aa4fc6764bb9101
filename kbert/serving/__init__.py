"""A server that answers TensorFlow Serving's REST API for any SavedModels."""
