"""The model folder that a pretraining run writes when training has ended."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kbert.model_folder.adapters.folder import ADAPTER_FOLDER
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.card import describe_parameters, model_card
from kbert.models.pretraining import PretrainingModel
from kbert.models.tensor_names import pretraining_bindings, read_tensors
from kbert.training.adapter import TrainedAdapter
from kbert.training.pretraining.plan import PretrainingPlan
from kbert.training.run import Run
from kbert.training.run_folder.provenance import license_settings, write_run_provenance

ARCHITECTURE = "BertForPreTraining"
_PAIR_OBJECTIVES = {"nsp": "next sentence prediction", "sop": "sentence order prediction"}


def write_result(
    run: Run,
    plan: PretrainingPlan,
    model: PretrainingModel,
    metrics: Mapping[str, Any],
    adapter: TrainedAdapter | None,
) -> None:
    """Writes the model folder when training has ended.

    Args:
        run: The run.
        plan: The plan of the run.
        model: The trained model.
        metrics: What `Run.train` returned.
        adapter: The adapter that was trained instead of the whole model; None if the whole model was trained.
    """
    options = plan.options
    lost = sum(source.source.records_lost for source in plan.corpora)
    if options.show_progress and lost:
        run.tell(f"pretrain: {lost:,} damaged records were skipped")
    run.write_projector(model.encoder, plan.start.tokenizer.vocabulary)
    bundle = Bundle(
        config=plan.start.config,
        tokenizer=plan.start.tokenizer,
        tensors=read_tensors(pretraining_bindings(model)),
        architecture=ARCHITECTURE,
        settings={"kind": "pretraining", "steps": plan.settings.steps, "metrics": metrics["last"]}
        | license_settings(options),
    )
    if adapter is not None:
        adapter.save(run.folder / ADAPTER_FOLDER, bundle, adapter.matrices())
    bundle.save(run.folder, _card(plan, model.encoder.count_params(), metrics["last"]))
    write_run_provenance(run.folder, run.command, options)


def _card(plan: PretrainingPlan, parameters: int, metrics: Mapping[str, Any]) -> str:
    """Returns the model card, with the objective, the corpus, the training and the final loss."""
    options, config = plan.options, plan.start.config
    others = sorted({_PAIR_OBJECTIVES[each.manifest.objective] for each in plan.corpora if each.labelled})
    return model_card(
        f"BERT ({describe_parameters(parameters)}), pretrained with kbert",
        {
            "Objective": " and ".join(("masked language model", *others)),
            "Encoder": f"{config.num_hidden_layers} layers, width {config.hidden_size}, {parameters:,} parameters",
            "Corpus": "; then ".join(source.description for source in plan.corpora),
            "Training": f"{plan.settings.steps:,} steps of {options.batch_size} examples, "
            f"learning rate {options.learning_rate:g}, {options.precision}",
            "Loss at the end": f"{metrics['mlm_loss']:.4f} (masked language model)"
            + (f", {metrics['nsp_loss']:.4f} (pairs of texts)" if plan.pairs else ""),
        },
        f"kbert finetune classification --model {Path(options.output)} --train train.csv --validation dev.csv "
        "--output RUN",
    )
