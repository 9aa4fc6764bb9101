"""Runs a SavedModel in a session, as TensorFlow Serving does."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from kbert import files
from kbert.errors import ParityError
from kbert.runtime.held_output import quiet_logger


def session_answers(
    folder: files.PathLike, requests: Mapping[str, Mapping[str, np.ndarray]]
) -> dict[str, dict[str, np.ndarray]]:
    """Runs the signatures of a SavedModel in a session.

    A session restores the variables by running the graph's restore operation. `tf.saved_model.load` assigns them
    through the object graph instead, so a model may work with that loader and fail in a session.

    Args:
        folder: The folder that holds saved_model.pb.
        requests: The inputs of each signature to run, by name.

    Returns:
        The outputs of each of these signatures, by name.

    Raises:
        ParityError: The session cannot load the model, or a signature cannot be run.
    """
    with quiet_logger("tensorflow"), tf.Graph().as_default(), tf.compat.v1.Session() as session:
        try:
            signatures = tf.compat.v1.saved_model.load(session, ["serve"], str(folder)).signature_def
            answers = {}
            for name, request in requests.items():
                signature = signatures[name]
                feeds = {signature.inputs[key].name: values for key, values in request.items()}
                answers[name] = session.run({key: info.name for key, info in signature.outputs.items()}, feeds)
        except (tf.errors.OpError, KeyError) as problem:
            raise ParityError(
                f"expected a SavedModel that runs in a session, as in TensorFlow Serving. Received: "
                f"{' '.join(str(problem).split()):.300}; nothing was written"
            ) from None
    return answers
