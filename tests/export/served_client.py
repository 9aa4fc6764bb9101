"""Runs SavedModels with TensorFlow's Python loaders, in a process that cannot import kbert.

    python served_client.py LOADER REQUESTS.json     LOADER is "object" or "session"

The requests and the output have the same format as those of c_api_client.py.
"""

import base64
import functools
import json
import sys
from pathlib import Path

sys.modules["kbert"] = None  # an import would fail

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import tensorflow_text  # noqa: E402, F401 (registers its operations)


class ObjectLoader:
    """The loader that wires Python objects."""

    def __init__(self, folder):
        self.loaded = tf.saved_model.load(folder)

    def ask(self, signature, inputs):
        """The answers of a signature."""
        outputs = self.loaded.signatures[signature](**{name: tf.constant(values) for name, values in inputs.items()})
        return {name: value.numpy() for name, value in outputs.items()}


class SessionLoader:
    """The loader that restores variables by the graph's own operations."""

    def __init__(self, folder):
        self.session = tf.compat.v1.Session(graph=tf.Graph())
        with self.session.graph.as_default():
            self.signatures = tf.compat.v1.saved_model.load(self.session, ["serve"], folder).signature_def

    def ask(self, signature, inputs):
        """The answers of a signature."""
        tensors = self.signatures[signature]
        feeds = {tensors.inputs[name].name: values for name, values in inputs.items()}
        return self.session.run({name: info.name for name, info in tensors.outputs.items()}, feeds)


def plain(value):
    """Nested lists, texts decoded."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list):
        return [plain(part) for part in value]
    return value.decode() if isinstance(value, bytes) else value


if __name__ == "__main__":
    load = functools.cache({"object": ObjectLoader, "session": SessionLoader}[sys.argv[1]])
    answers = []
    for request in json.loads(Path(sys.argv[2]).read_text()):
        inputs = request["inputs"]
        if request.get("base64"):
            inputs = {name: [base64.b64decode(text) for text in texts] for name, texts in inputs.items()}
        answers.append(load(request["folder"]).ask(request["signature"], inputs))
    print(json.dumps([{name: plain(value) for name, value in answer.items()} for answer in answers]))
