"""Training with an adapter: the base model is frozen, and a small number of weights is added or trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kbert.files import PathLike
from kbert.layers.attention import QKV_COLUMNS
from kbert.layers.projection import Projection
from kbert.model_folder.adapters import peft_names
from kbert.model_folder.adapters.base import SECTION, SHA256, base_name, encoder_sha256
from kbert.model_folder.adapters.bundle_settings import ARCHITECTURE, CONFIG, NORMALIZATION
from kbert.model_folder.adapters.folder import Adapter, LowRank, adapter_config, is_adapter, save_adapter
from kbert.model_folder.adapters.spec import AdapterSpec
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.hub import resolve
from kbert.model_folder.parts import PARTS
from kbert.models.encoder import BertEncoder
from kbert.models.tensor_names import TensorBindings
from kbert.options import option_error
from kbert.training.starting_point import StartingPoint

_BIASES = ("/bias", "/beta")
"""The endings of the names of the variables that BitFit trains: biases, those of LayerNorm too."""
_OWNERS: Mapping[str, Callable[[Any], Projection]] = {
    "attention_output": lambda block: block.attention.output_projection,
    "intermediate": lambda block: block.intermediate,
    "output": lambda block: block.output_projection,
}
"""The layer of each target of LoRA outside the fused kernel, given the block."""


class TrainedAdapter:
    """An adapter of a model. Its constructor freezes the embeddings and the blocks, and adds the adapter to them.

    The pooler and the heads are trained as well, as with `frozen_encoder`. Create the object in the scope of the
    strategy and before the optimizer, when the model has its starting weights.

    Args:
        spec: The description of the adapter.
        model: The model.
        bindings: The variables of the model by the names of their tensors.
        start: The base model.
    """

    def __init__(self, spec: AdapterSpec, model: Any, bindings: TensorBindings, start: StartingPoint) -> None:
        self.spec = spec
        self._start = start
        self._encoder: BertEncoder = model.encoder
        for part in (self._encoder.embeddings, *self._encoder.blocks):
            for variable in part.variables:
                variable.trainable = spec.kind == "bitfit" and variable.path.endswith(_BIASES)
        if spec.kind == "lora":
            self._enable_lora()
        if spec.kind == "bottleneck":
            for block in self._encoder.blocks:
                for layer in (block.bottleneck.down, block.bottleneck.up):
                    layer.kernel.trainable = layer.bias.trainable = True
        self._tensors = [name for name, binding in bindings.items() if binding.variable.trainable]
        self.trained = sum(variable.value.shape.num_elements() for variable in model.trainable_variables)
        """The number of trained parameters."""
        self.parameters = model.count_params()
        """The number of all parameters."""

    def describe(self) -> str:
        """Returns a sentence about the number of trained parameters."""
        share = 100 * self.trained / self.parameters
        return (
            f"adapter {self.spec.kind}: {self.trained:,} of {self.parameters:,} parameters are trained ({share:.2f} %)"
        )

    def matrices(self) -> dict[str, np.ndarray]:
        """Returns the present matrices of LoRA, by PEFT's names for a model with heads and in PEFT's layout."""
        found = {}
        for part, layer, matrices in self._low_rank_parts():
            for factor, variable in ((peft_names.DOWN, matrices.down), (peft_names.UP, matrices.up)):
                name = peft_names.low_rank_name(part, layer, factor, bare=False)
                found[name] = np.ascontiguousarray(np.asarray(variable).T)
        return found

    def save(self, folder: Path, bundle: Bundle, matrices: Mapping[str, np.ndarray]) -> None:
        """Writes the folder of the adapter.

        Args:
            folder: The folder.
            bundle: The merged model.
            matrices: What `matrices` returned when the model had the weights of the bundle.
        """
        assert self._start.bundle is not None
        base, revision = base_name(self._start.model)
        low_rank = {}
        for part, layer, trained in self._low_rank_parts():
            down, up = (
                matrices[peft_names.low_rank_name(part, layer, factor, bare=False)]
                for factor in (peft_names.DOWN, peft_names.UP)
            )
            low_rank[f"{PARTS[part].name.format(layer=layer)}.weight"] = LowRank(down, up, trained.scale)
        config = adapter_config(
            self.spec,
            base,
            architecture=bundle.architecture,
            hidden_size=bundle.config.hidden_size,
            names=self._tensors,
            revision=revision,
        )
        settings = {
            **bundle.settings,
            SECTION: {
                SHA256: encoder_sha256(self._start.bundle.tensors),
                ARCHITECTURE: bundle.architecture,
                CONFIG: bundle.foreign_config,
                **self._new_normalization(bundle),
            },
        }
        tensors = {name: bundle.tensors[name] for name in self._tensors}
        adapter = Adapter(
            config,
            tensors,
            low_rank,
            settings,
            bottleneck_size=bundle.config.bottleneck_size,
            further=bundle.foreign_config,
        )
        save_adapter(folder, adapter, architecture=bundle.architecture)

    def _new_normalization(self, bundle: Bundle) -> dict[str, str]:
        """Returns the normalization of text by its key, if the run did not take that of the base model."""
        assert self._start.bundle is not None
        ours, theirs = bundle.tokenizer.settings.normalization, self._start.bundle.tokenizer.settings.normalization
        return {} if ours == theirs else {NORMALIZATION: ours}

    def _enable_lora(self) -> None:
        # As in PEFT, A is drawn from the uniform distribution between ±1 / √width.
        draw = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform", seed=self._encoder.seed_generator)
        rank, alpha = self.spec.rank, self.spec.alpha
        fused = [target for target in self.spec.targets if target in QKV_COLUMNS]
        for block in self._encoder.blocks:
            if fused:
                block.attention.enable_lora(rank, alpha, draw, targets=fused)
            for target in self.spec.targets:
                if target in _OWNERS:
                    _OWNERS[target](block).enable_lora(rank, alpha, draw)

    def _low_rank_parts(self) -> Sequence[tuple[str, int, Any]]:
        """Returns the name of the projection, the index of the block and the matrices of each part with LoRA."""
        found = []
        for layer, block in enumerate(self._encoder.blocks):
            found += [(part.name, layer, part) for part in block.attention.qkv.low_rank_parts]
            for target, owner in _OWNERS.items():
                found += [(target, layer, part) for part in owner(block).low_rank_parts]
        return found


def check_adapter_start(model: PathLike, bundle: Bundle | None) -> None:
    """Checks that the starting point of a run can be the base model of an adapter.

    Args:
        model: The model or the preset as the user gave it.
        bundle: The content of the model folder; None for a preset.

    Raises:
        OptionError: It is a preset, whose weights are random, or is itself an adapter, or has bottleneck adapters.
    """
    if bundle is None:
        raise option_error(
            lambda spell: (
                f"{spell('adapter')} needs a model with pretrained weights as {spell('model')}. "
                f"Received: {spell('model', str(model))}, a preset"
            )
        )
    if is_adapter(resolve(model)):
        raise option_error(
            lambda spell: (
                f"{spell('adapter')} needs a whole model as {spell('model')}. "
                f"Received: {spell('model', str(model))}, an adapter; merge it first with `kbert adapters merge`"
            )
        )
    if bundle.config.bottleneck_size is not None:
        raise option_error(
            lambda spell: (
                f"{spell('adapter')} needs a plain BERT as {spell('model')}. "
                f"Received: {spell('model', str(model))}, which has bottleneck adapters"
            )
        )
