"""The command `kbert inspect`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kbert.cli import options

if TYPE_CHECKING:
    from kbert.model_folder.sentence_transformers import SentenceModules


@click.command()
@options.MODEL
@options.JSON
def inspect(model: str, as_json: bool) -> None:
    """Show the contents of the model folder MODEL: architecture, parameters, vocabulary, task and metrics."""
    from kbert.model_folder.bundle import Bundle
    from kbert.model_folder.hub import resolve

    bundle = Bundle.load(resolve(model))
    config = bundle.config
    parameters = sum(tensor.size for tensor in bundle.tensors.values())
    task = bundle.settings.get("task") or (_vectors(bundle.modules) if bundle.modules is not None else {})
    facts: dict[str, Any] = {
        "architecture": bundle.architecture,
        "layers": config.num_hidden_layers,
        "hidden_size": config.hidden_size,
        "attention_heads": config.num_attention_heads,
        "intermediate_size": config.intermediate_size,
        "activation": config.hidden_act,
        "bottleneck_size": config.bottleneck_size,
        "positions": config.max_position_embeddings,
        "parameters": parameters,
        "vocabulary": len(bundle.tokenizer.vocabulary),
        "lowercase": bundle.tokenizer.lowercase,
        "sequence_length": bundle.settings.get("sequence_length", task.get("max_length")),
        "task": task.get("name"),
        "pooling": task.get("pooling"),
        "normalize": task.get("normalize"),
        "prompts": task.get("prompts") or None,
        "not_computed": task.get("unsupported"),
        "labels": task.get("labels"),
        "quantize_aware": bundle.settings.get("quantize_aware"),
        "metrics": bundle.settings.get("metrics"),
    }
    if as_json:
        options.print_json(facts)
        return
    for name, value in facts.items():
        if name == "metrics" and value:
            value = ", ".join(f"{key} {score:.4f}" for key, score in value.items() if isinstance(score, float))
        if name == "prompts" and value:
            value = ", ".join(f"{key} {text!r}" for key, text in value.items())
        if isinstance(value, list):
            value = ", ".join(value[:20]) + (f" … ({len(value)})" if len(value) > 20 else "")
        if value is not None:
            shown = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else value
            click.echo(f"{name.replace('_', ' '):18} {shown}")


def _vectors(modules: SentenceModules) -> dict[str, Any]:
    """Returns the settings in the files of sentence-transformers, under the names that tasks use."""
    from kbert.model_folder.sentence_transformers import CROSS_ENCODER, EMBEDDER

    said = {"max_length": modules.max_length, "unsupported": modules.unsupported}
    if modules.kind == CROSS_ENCODER:
        return {"name": "ranking", **said}
    vectors = {"pooling": modules.pooling, "normalize": modules.normalize, "prompts": dict(modules.prompts)}
    return {"name": "embedding", **vectors, **said} if modules.kind == EMBEDDER else said
