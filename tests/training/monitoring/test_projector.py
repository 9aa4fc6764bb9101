import json

import numpy as np
from google.protobuf import text_format
from tensorboard.plugins.projector import projector_plugin
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from kbert.training.monitoring.projector import write_projector


def test_the_plugin_reads_what_is_written(tmp_path, vocabulary):
    table = np.random.default_rng(0).normal(size=(len(vocabulary) + 2, 3)).astype(np.float32)
    write_projector(tmp_path, table, vocabulary)
    config = text_format.Parse((tmp_path / "projector_config.pbtxt").read_text(), ProjectorConfig())
    (embedding,) = config.embeddings
    read = projector_plugin._read_tensor_binary_file(str(tmp_path / embedding.tensor_path), embedding.tensor_shape)
    np.testing.assert_allclose(read, table[:-2], atol=1e-4)
    tokens = (tmp_path / embedding.metadata_path).read_text().splitlines()
    assert tokens == list(vocabulary)


def test_the_plugin_never_takes_numbers_for_text(tmp_path, vocabulary):
    """It reads lines until one is not UTF-8; zeros and ones are."""
    write_projector(tmp_path, np.zeros((len(vocabulary), 3), np.float32), vocabulary)
    config = (tmp_path / "projector_config.pbtxt").read_text()
    assert json.dumps("token_embeddings.bytes") in config
    path = str(tmp_path / "token_embeddings.bytes")
    try:
        projector_plugin._read_tensor_tsv_file(path)
    except UnicodeDecodeError:
        return
    raise AssertionError("the plugin would read it as text")
