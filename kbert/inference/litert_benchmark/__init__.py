"""Measurements of LiteRT files: their size, latency and memory, and the operations that XNNPACK does not compute.

Everything that LiteRT does happens in child processes, which import ai-edge-litert and NumPy and never TensorFlow.
Their memory is that of the model, and a file that ends a process does not end the caller's.
"""
