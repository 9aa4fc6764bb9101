"""Freezing of layers, whose weights then do not change during training."""

from __future__ import annotations

from kbert.errors import UsageError
from kbert.models.encoder import BertEncoder


def freeze_layers(encoder: BertEncoder, frozen_layers: int, *, frozen_encoder: bool = False) -> None:
    """Freezes the embeddings and the first blocks: they have no gradients and no optimizer slots.

    Dropout stays active in frozen blocks. The pooler and the head of the task are always trained: many pretrained
    models have no pooler, and a randomly initialized pooler must be trained.

    Args:
        encoder: The encoder. Call this function before the optimizer is created.
        frozen_layers: The number of blocks to freeze; 0 freezes nothing, and not the embeddings either.
        frozen_encoder: Whether to freeze the embeddings and all blocks.

    Raises:
        UsageError: The encoder has fewer blocks, or both options are given.
    """
    blocks = encoder.blocks
    check_frozen_layers(frozen_layers, len(blocks), frozen_encoder=frozen_encoder)
    count = len(blocks) if frozen_encoder else frozen_layers
    if count:
        encoder.embeddings.trainable = False
        for block in blocks[:count]:
            block.trainable = False


def freeze_tables(encoder: BertEncoder) -> None:
    """Freezes the tables of tokens, positions and types.

    Args:
        encoder: The encoder. Call this function before the optimizer is created.
    """
    embeddings = encoder.embeddings
    for table in (embeddings.token_table, embeddings.position_table, embeddings.type_table):
        table.trainable = False


def check_frozen_layers(frozen_layers: int, layers: int, *, frozen_encoder: bool) -> None:
    """Checks the options for freezing before the model is built.

    Args:
        frozen_layers: The number of blocks to freeze.
        layers: The number of blocks of the model.
        frozen_encoder: Whether to freeze the embeddings and all blocks.

    Raises:
        UsageError: The model has fewer blocks, or both options are given.
    """
    if not 0 <= frozen_layers <= layers:
        raise UsageError(
            f"frozen_layers must be from 0 to the model's {layers} layers. Received: frozen_layers={frozen_layers}"
        )
    if frozen_layers and frozen_encoder:
        raise UsageError(
            f"frozen_encoder freezes all layers; leave frozen_layers out. Received: frozen_layers={frozen_layers}"
        )
