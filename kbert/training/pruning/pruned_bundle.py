"""A model folder without some of its blocks and neurons."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from kbert.model_folder.bundle import Bundle
from kbert.model_folder.parts import BLOCK, PARTS


def pruned_bundle(bundle: Bundle, neurons: Mapping[int, Sequence[int]]) -> Bundle:
    """Returns a bundle with some blocks, and with some of the neurons of each.

    The result is an ordinary BERT: the blocks are numbered again, and all have the same intermediate size.

    Args:
        bundle: The bundle.
        neurons: The neurons to keep of each block to keep, by the index of the block. All blocks keep the same number.
    """
    in_blocks = {
        name for layer in range(bundle.config.num_hidden_layers) for part in BLOCK for name in PARTS[part].names(layer)
    }
    tensors = {name: tensor for name, tensor in bundle.tensors.items() if name not in in_blocks}
    for place, layer in enumerate(sorted(neurons)):
        kept = np.array(sorted(neurons[layer]))
        for part in BLOCK:
            for old, new in zip(PARTS[part].names(layer), PARTS[part].names(place), strict=True):
                tensor = bundle.tensors[old]
                if part == "intermediate":
                    tensor = tensor[kept]
                elif part == "output" and tensor.ndim == 2:
                    tensor = np.ascontiguousarray(tensor[:, kept])
                tensors[new] = tensor
    size = len(next(iter(neurons.values())))
    config = bundle.config.replace(num_hidden_layers=len(neurons), intermediate_size=size)
    return dataclasses.replace(bundle, config=config, tensors=tensors)
