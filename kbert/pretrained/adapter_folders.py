"""Merges adapters into their base models, and copies the adapter of a run."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from kbert import files
from kbert.conversion.command_options import ExtractAdapterOptions, MergeAdapterOptions
from kbert.errors import UsageError
from kbert.model_folder.adapters.folder import ADAPTER_FOLDER, is_adapter, read_adapter
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.card import describe_parameters, model_card
from kbert.model_folder.hub import resolve
from kbert.options import with_options
from kbert.tasks.factories import task_from_bundle


@with_options(MergeAdapterOptions)
def merge_adapter(adapter: files.PathLike, *, options: MergeAdapterOptions) -> Bundle:
    """Merges an adapter into its base model, and writes the whole model, which Transformers opens.

    Args:
        adapter: The folder of a LoRA or BitFit adapter that kbert or PEFT wrote, or one on the Hugging Face Hub as "hf://owner/name".
        options: All of these options in one object.

    Returns:
        The contents of the merged model.

    Raises:
        UsageError: The folder is not an adapter's, the base model is missing or another one, kbert does not support the
            adapter, it is a bottleneck adapter, or `output` is not empty.
        BundleError: A file is missing or damaged.

    Example:
        >>> bundle = kbert.merge_adapter("RUN/adapter", output="merged")
        >>> bundle.architecture
        'BertForSequenceClassification'
    """
    output = files.check_new_folder(options.output)
    folder = resolve(adapter)
    if not is_adapter(folder):
        raise UsageError(f"expected the folder of an adapter, with adapter_config.json. There is none in {adapter}")
    bundle = Bundle.load(folder, base=None if options.base is None else resolve(options.base))
    if bundle.config.bottleneck_size is not None:
        raise UsageError(
            f"a bottleneck adapter cannot become part of a plain BERT. Received: {adapter}; use the folder of the "
            "adapter, or that of its run, as the model"
        )
    if bundle.settings.get("kind") == "task":
        # The adapter's folder has no files of sentence-transformers, but the task has what they say.
        task = task_from_bundle(bundle, adapter)
        length = bundle.settings.get("sequence_length", bundle.longest_input)
        modules = getattr(task, "sentence_modules", lambda _: None)(length)
        bundle = dataclasses.replace(bundle, modules=modules or bundle.modules)
    parameters = sum(tensor.size for tensor in bundle.tensors.values())
    lines = {"Architecture": bundle.architecture, "Adapter": str(adapter), "Parameters": f"{parameters:,}"}
    title = f"BERT ({describe_parameters(parameters)}), with an adapter that kbert merged"
    bundle.save(output, model_card(title, lines, f"kbert inspect {output.resolve().name}"))
    return bundle


@with_options(ExtractAdapterOptions)
def extract_adapter(run: files.PathLike, *, options: ExtractAdapterOptions) -> None:
    """Copies the adapter alone out of the folder of a run that was trained with one.

    Args:
        run: The folder of the run.
        options: All of these options in one object.

    Raises:
        UsageError: The run has no adapter, or `output` is not empty.
        BundleError: A file of the adapter is missing or damaged.

    Example:
        >>> kbert.extract_adapter("RUN", output="copy")
        >>> import os
        >>> sorted(os.listdir("copy"))
        ['adapter_config.json', 'adapter_model.safetensors', 'kbert.json']
    """
    output = files.check_new_folder(options.output)
    source = Path(run) / ADAPTER_FOLDER
    if not is_adapter(source):
        raise UsageError(
            f"expected a run that was trained with an adapter, which has a folder {ADAPTER_FOLDER}. "
            f"There is none in {run}"
        )
    read_adapter(source)  # a damaged adapter is not copied
    if output.is_dir():
        output.rmdir()  # empty; the copy takes its place in one step
    with files.atomic_directory(output) as copy:
        shutil.copytree(source, copy, dirs_exist_ok=True)
