"""Pruning: removes blocks and neurons of a fine-tuned model, which then learns from the unpruned model."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kbert import files
from kbert.errors import UsageError
from kbert.model_folder.bundle import Bundle, is_bundle
from kbert.model_folder.file_names import RUN_FILE
from kbert.model_folder.provenance import PROVENANCE_FILE
from kbert.models.encoder import BertEncoder
from kbert.models.tensor_names import assign_tensors
from kbert.options import OptionInfo, invalid, option_infos, with_options
from kbert.text.graph.encoder import GraphEncoder
from kbert.training.distill import distill_from
from kbert.training.distillation.examples import read_student_examples
from kbert.training.distillation.teacher import Teacher
from kbert.training.options import PruneOptions
from kbert.training.pruning.importance import ImportanceMeter
from kbert.training.pruning.pruned_bundle import pruned_bundle
from kbert.training.quantize_aware import check_quantize_aware
from kbert.training.run_folder.runs import ROUNDS_FOLDER, RunRecord, open_run

_LOG = logging.getLogger("kbert")
_COMMAND = "prune"
"""The command in the record of a run."""
_ROUND_SIZES = 8
"""The intermediate sizes of the rounds are multiples of this number if the last one is; such sizes compute faster."""


@with_options(PruneOptions)
def prune(run: files.PathLike, *, options: PruneOptions, **reading: Any) -> dict[str, Any]:
    """Removes the least important blocks and neurons of a fine-tuned model, and keeps the best weights of the rest.

    The work is done in rounds. Each round removes a part, and trains the rest with the outputs of the unpruned model,
    as `kbert.distill` does. A block is unimportant if the loss on training rows is low without it; a neuron, if its
    activation times its gradient is small. The result is a model folder of an ordinary, smaller BERT.

    Args:
        run: The folder of a fine-tuned model, or hf://owner/name.
        options: All options in one object. Keywords that are given as well replace its values.
        reading: The column names of tables, such as `text_column`, and the options that describe files. The defaults
            are those with which the training file of the model was read.

    Returns:
        The metrics of the best weights on the validation file, as `kbert.finetune` returns them.

    Raises:
        UsageError: An option is invalid, the model has fewer blocks, or `output` already holds a different run.
        DataError: A file is invalid, or has a label that the model does not know; with the file and the line.
        KbertError: The model is invalid, or training fails.

    Example:
        >>> metrics = kbert.prune(
        ...     "RUN", layers=1, intermediate=0.5, train="train.csv", validation="dev.csv", output="pruned",
        ...     rounds=1, epochs=1, show_progress=False,
        ... )
        >>> kbert.Bundle.load("pruned").config.num_hidden_layers
        1
    """
    if options.model:
        raise UsageError(f"pruning makes the student itself; leave model out. Received: model={str(options.model)!r}")
    teacher = Teacher.load(run)
    if teacher.bundle.config.bottleneck_size is not None:
        raise UsageError(f"expected a plain BERT to prune. Received: {run}, a model with bottleneck adapters")
    check_quantize_aware(options.quantize_aware, teacher.task, teacher.bundle.config)
    sizes = _sizes_of_rounds(options, teacher)
    output, rounds = Path(options.output), Path(options.output) / ROUNDS_FOLDER
    if not options.resume:
        _check_output(output)
    elif (output / RUN_FILE).exists() and (output / PROVENANCE_FILE).exists():  # the first and the last file of a run
        return _finished(teacher, output, options)
    bundle, metrics = teacher.bundle, {}
    for number, (layers, size) in enumerate(sizes, start=1):
        last = number == len(sizes)
        pruned, folder = rounds / f"{number}-pruned", output if last else rounds / f"{number}"
        if not is_bundle(pruned):
            smaller = _pruned(teacher, bundle, options, reading, layers=layers, size=size)
            pruned.mkdir(parents=True, exist_ok=True)
            smaller.save(pruned, "# The start of a round of pruning\n")
        changes: dict[str, Any] = {"model": pruned, "output": folder}
        changes["teacher_outputs"] = options.teacher_outputs or rounds / "teacher_outputs"
        if not last:
            changes |= {"epochs": options.round_epochs, "callbacks": (), "quantize_aware": None}
        if last or not is_bundle(folder):
            _LOG.info(f"round {number} of {len(sizes)}: {layers} blocks, intermediate size {size:,}")
            metrics = distill_from(teacher, options.replace(**changes), reading, command=_COMMAND)
        bundle = Bundle.load(folder, notices=False)
    shutil.rmtree(rounds, ignore_errors=True)
    return metrics


def _sizes_of_rounds(options: PruneOptions, teacher: Teacher) -> list[tuple[int, int]]:
    """Returns the number of blocks and the intermediate size after each round.

    Raises:
        UsageError: The model has fewer blocks, or nothing would be removed.
    """
    config = teacher.bundle.config
    if options.layers is not None and options.layers > config.num_hidden_layers:
        info = option_infos(PruneOptions)["layers"]
        raise invalid(
            info, f"must be from 1 to {config.num_hidden_layers}, the blocks of {teacher.path}", options.layers
        )
    layers = options.layers or config.num_hidden_layers
    size = max(1, round(config.intermediate_size * (options.intermediate or 1.0)))
    if (layers, size) == (config.num_hidden_layers, config.intermediate_size):
        raise UsageError(
            f"expected fewer blocks or neurons than those of {teacher.path}. Received: all {layers} blocks and all "
            f"{size:,} neurons; lower --layers or --intermediate"
        )
    found: list[tuple[int, int]] = []
    for number in range(1, options.rounds + 1):
        part = number / options.rounds
        removed = round((config.num_hidden_layers - layers) * part)
        # The size shrinks by the same factor in each round.
        between = round(config.intermediate_size * (size / config.intermediate_size) ** part)
        if size % _ROUND_SIZES == 0:
            between = max(size, between // _ROUND_SIZES * _ROUND_SIZES)
        found.append((config.num_hidden_layers - removed, size if number == options.rounds else between))
    before = [(config.num_hidden_layers, config.intermediate_size), *found]
    return [each for each, previous in zip(found, before, strict=False) if each != previous]


def _check_output(output: Path) -> None:
    """Checks that the folder is new or empty, so that no round is done in vain.

    Raises:
        UsageError: The folder holds a run or other files.
    """
    if (output / RUN_FILE).exists() or (output / ROUNDS_FOLDER).exists():
        raise UsageError(f"{output} holds a run; add --resume to continue it, or choose another --output")
    files.check_new_folder(output, alternative=", or a run to --resume")


def _finished(teacher: Teacher, output: Path, options: PruneOptions) -> dict[str, Any]:
    """Returns the stored metrics of a command that is done. Its earlier rounds are gone, and need not be repeated.

    Raises:
        UsageError: The folder holds another run.
    """
    before = RunRecord.load(output / RUN_FILE)
    record = dataclasses.replace(
        before,
        command=_COMMAND,
        options={**before.options, **options.remembered(), "teacher": str(teacher.path)},
        contents={**before.contents, "teacher": teacher.digest()},
    )
    infos = {**option_infos(PruneOptions), "teacher": OptionInfo("teacher", free=True)}
    open_run(output, record, infos=infos, resume=True)
    shutil.rmtree(output / ROUNDS_FOLDER, ignore_errors=True)
    metrics: dict[str, Any] = Bundle.load(output, notices=False).settings["metrics"]
    return metrics


def _pruned(
    teacher: Teacher, bundle: Bundle, options: PruneOptions, reading: Mapping[str, Any], *, layers: int, size: int
) -> Bundle:
    """Returns the model without its least important blocks and neurons.

    Args:
        teacher: The unpruned model.
        bundle: The model of the previous round.
        options: The options of the run.
        reading: The columns and the options that describe the files, as given.
        layers: The number of blocks to keep.
        size: The number of neurons to keep in each block.
    """
    meter = _meter(teacher, bundle, options, reading)
    blocks = meter.blocks_to_keep(layers)
    if len(blocks) < meter.block_count:
        _LOG.info(f"blocks kept: {', '.join(str(block + 1) for block in blocks)} of {meter.block_count}")
    importance = meter.neurons(blocks)
    return pruned_bundle(bundle, {block: _largest(importance[block], size) for block in blocks})


def _largest(importance: np.ndarray, count: int) -> Sequence[int]:
    """Returns the indices of the largest values, in ascending order."""
    return sorted(np.argsort(-importance, kind="stable")[:count].tolist())


def _meter(teacher: Teacher, bundle: Bundle, options: PruneOptions, reading: Mapping[str, Any]) -> ImportanceMeter:
    examples = read_student_examples(teacher, options, reading).examples
    length = options.sequence_length or teacher.sequence_length
    encode = GraphEncoder(bundle.tokenizer.to_graph(), length)
    task = examples.task.for_training_examples(examples.train, encode)
    model = task.build(BertEncoder(bundle.config, pooled=task.pooled))
    assign_tensors(task.bindings(model), bundle.tensors)
    return ImportanceMeter(
        model,
        task,
        task.training_rows(examples.train, encode),
        limit=options.importance_rows,
        sequence_length=length,
        pad_id=bundle.tokenizer.vocabulary.pad_id,
        seed=options.seed,
    )
