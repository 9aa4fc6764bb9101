"""Layers that keep the weights they start from."""

from __future__ import annotations

from kbert.errors import UsageError
from kbert.models.encoder import BertEncoder


def freeze_layers(encoder: BertEncoder, frozen_layers: int, *, frozen_encoder: bool = False) -> None:
    """Freezes the embeddings and the first blocks: no gradient is computed for them, and no optimizer slots are kept.

    Dropout goes on in them. What is above, the pooler and the head of the task, learns in any case: many pretrained
    models come without a pooler, and one with fresh weights must learn.

    Args:
        encoder: Before the optimizer is made.
        frozen_layers: How many blocks; 0 freezes nothing, the embeddings included.
        frozen_encoder: Freeze all of them.

    Raises:
        UsageError: There are fewer blocks, or both are asked for.
    """
    blocks = encoder.blocks
    check_frozen_layers(frozen_layers, len(blocks), frozen_encoder=frozen_encoder)
    count = len(blocks) if frozen_encoder else frozen_layers
    if count:
        encoder.embeddings.trainable = False
        for block in blocks[:count]:
            block.trainable = False


def check_frozen_layers(frozen_layers: int, layers: int, *, frozen_encoder: bool) -> None:
    """Checks the options for a model of `layers` blocks, before anything is built.

    Raises:
        UsageError: There are fewer blocks, or both are asked for.
    """
    if not 0 <= frozen_layers <= layers:
        raise UsageError(
            f"frozen_layers must be from 0 to the model's {layers} layers. Received: frozen_layers={frozen_layers}"
        )
    if frozen_layers and frozen_encoder:
        raise UsageError(
            f"frozen_encoder freezes all layers; leave frozen_layers out. Received: frozen_layers={frozen_layers}"
        )
