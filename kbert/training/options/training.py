"""The options that pretraining and fine-tuning share."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from kbert import files
from kbert.model_folder.adapters.spec import AdapterSpec
from kbert.options import Options, invalid, option_infos
from kbert.runtime.prepare import PRECISIONS
from kbert.training.options.sections import (
    class_error,
    devices_option,
    model_option,
    monitoring_option,
    optimizer_option,
    run_option,
    training_option,
)

OPTIMIZERS = ("adamw", "lamb", "muon", "sgd")
SCHEDULES = ("linear", "polynomial", "cosine", "constant")
STRATEGIES = ("auto", "one", "mirrored", "multi-worker", "tpu")
CLUSTERS = ("tf-config", "slurm", "kubernetes")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingOptions(Options):
    """The options that pretraining and fine-tuning share."""

    # === Model ===
    model: str | files.PathLike = model_option(
        help="The model to start from: a model folder, hf://owner/name, or a preset, whose weights are random.",
        free=True,
    )
    vocab: files.PathLike | None = model_option(
        None,
        "The vocabulary for a preset: a vocab.txt, or a tokenizer.json or folder that also holds the settings of the "
        "tokenizer.",
        path="vocabulary",
        remembered=False,
    )
    cased: bool = model_option(False, "Keep case and accents if `vocab` is a vocab.txt; others have their own setting.")
    dropout: float | None = model_option(
        None,
        "The dropout rate of hidden states and attention weights.",
        minimum=0,
        below=1,
        default_help="the rate in the configuration of the model",
    )
    initializer_range: float | None = model_option(
        None,
        "The standard deviation of randomly initialized weights.",
        details="The usual 0.02 suits a hidden size of 768. Narrower models learn faster with larger weights, such as "
        "0.05 for a hidden size of 128.",
        above=0,
        default_help="the value in the configuration of the model, usually 0.02",
    )

    license: str | None = model_option(
        None,
        "The license of the trained weights, such as apache-2.0, for kbert.json and the model card.",
        default_help="the one in the card of the model that training starts from",
        remembered=False,
    )
    data_licenses: Sequence[str] = model_option(
        (),
        "A license of the training data, for kbert.json and the model card.",
        details="Those of the model that training starts from are kept.",
        flag="--data-license",
        remembered=False,
    )

    # === Training ===
    batch_size: int = training_option(32, "The number of examples in a training step, over all devices.", minimum=1)
    accumulation: int = training_option(
        1,
        "The number of micro-batches that each device computes one after the other in a training step; their gradients "
        "are accumulated.",
        minimum=1,
    )
    seed: int = training_option(
        0,
        "Seeds the weight initialization, the order of examples and dropout. On a CPU, the same seed gives the same "
        "bytes.",
        minimum=0,
    )

    adapter: str | None = training_option(
        None,
        "Train a small adapter, the pooler and the heads, and freeze all other weights: lora, bottleneck or bitfit. "
        "Examples with settings are lora:r=8,alpha=16,targets=query+value and bottleneck:16.",
        details="The run also gets a folder adapter, which holds the trained weights alone. Lora adds matrices of the "
        "rank r to the projections that are its targets: query, key, value, attention_output, intermediate and output. "
        "Bottleneck adds two layers to each block, whose inner width is the hidden size divided by 16; only kbert "
        "opens such a run. Bitfit trains the biases of the blocks and of the embeddings.",
        metavar="ADAPTER",
    )

    # === Optimizer ===
    optimizer: str = optimizer_option("adamw", "The optimizer.", choices=OPTIMIZERS)
    schedule: str = optimizer_option("linear", "The learning-rate schedule after the warm-up.", choices=SCHEDULES)
    power: float = optimizer_option(2.0, "The exponent of the polynomial schedule.", above=0)
    weight_decay: float = optimizer_option(
        0.01,
        "The weight decay, which is multiplied by the learning rate. Biases and LayerNorm parameters are not decayed.",
        minimum=0,
    )
    layer_decay: float = optimizer_option(
        1.0, "The ratio of a block's learning rate to that of the block above it.", above=0, maximum=1
    )

    # === Devices ===
    precision: str = devices_option(
        "float32",
        "The floating-point type in which matrix products are computed.",
        details="With float16 the loss is scaled, and a step whose gradients overflow is skipped.",
        choices=PRECISIONS,
    )
    remat: bool = devices_option(
        False, "Recompute each block in the backward pass, which saves memory and takes more time.", free=True
    )
    strategy: str = devices_option(
        "auto",
        "Where training runs: on one device, on all devices of this machine, on several machines, or on a TPU.",
        details="Workers on several machines need a shared file system. Only the chief writes to it.",
        choices=STRATEGIES,
        remembered=False,
    )
    cluster: str | None = devices_option(
        None,
        "The system that provides the addresses of the workers for training on several machines.",
        choices=CLUSTERS,
        default_help="the first whose environment variables are set",
        remembered=False,
    )

    # === Run ===
    output: files.PathLike = run_option(
        help="The folder of the run, which must be new or empty unless `resume` is given. It is a model folder when "
        "training ends.",
        path="output",
        remembered=False,
    )
    resume: bool = run_option(
        False,
        "Continue the run in `output` from its last checkpoint, or start it if there is no checkpoint.",
        remembered=False,
    )
    checkpoint_every: int = run_option(500, "The number of steps between checkpoints.", minimum=1, free=True)

    # === Monitoring ===
    log_every: int = monitoring_option(
        10, "The number of steps over which a row of metrics.jsonl averages.", minimum=1, remembered=True, free=True
    )
    histograms_every: int | None = monitoring_option(
        None, "The number of steps between histograms of the weights in TensorBoard.", minimum=1
    )
    profile: tuple[int, int] | None = monitoring_option(
        None,
        "The steps after which a recording for TensorBoard's profile plugin starts and stops, such as 20:30.",
        metavar="START:STOP",
        expected="START:STOP with 0 <= START < STOP",
        valid=lambda span: 0 <= span[0] < span[1],
    )
    projector: bool = monitoring_option(
        False, "Write the token embeddings for TensorBoard's projector when training ends."
    )
    show_progress: bool = monitoring_option(True, "Show progress on standard error.", command=False)
    callbacks: Sequence[Any] = monitoring_option(
        (),
        "Keras callbacks, such as those of MLflow, W&B and TensorBoard.",
        details="`on_train_batch_end` is called for each step, up to a second after the step. An epoch ends at each "
        "evaluation or, in a run without evaluations, at each checkpoint. See kbert.training.loop.callbacks.",
        command=False,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.adapter is not None:
            try:
                AdapterSpec.parse(self.adapter)
            except ValueError as problem:
                raise invalid(option_infos(type(self))["adapter"], str(problem), self.adapter) from None
        if self.cluster is not None and self.strategy not in ("auto", "multi-worker"):
            raise class_error(
                self,
                lambda spell: (
                    f"{spell('cluster')} requires {spell('strategy', 'multi-worker')}. "
                    f"Received: {spell('strategy', self.strategy)}"
                ),
            )
