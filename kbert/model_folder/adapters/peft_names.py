"""The names that PEFT gives to the tensors of an adapter, and to the projections that LoRA adapts.

LoRA's matrices of a projection are `base_model.model.<projection>.lora_A.weight` [r, in] and `….lora_B.weight`
[out, r]. Those of a table are `….lora_embedding_A` [r, rows] and `….lora_embedding_B` [width, r]. DoRA adds
`….lora_magnitude_vector` [out]. Other trained tensors, such as those of the head, have `base_model.model.` before their
own names. If the model is a BertModel, names of the encoder have no "bert.".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from kbert.model_folder.parts import ENCODER_PREFIX, PARTS

PREFIX = "base_model.model."
DOWN, UP = "lora_A", "lora_B"
TABLE_DOWN, TABLE_UP = "lora_embedding_A", "lora_embedding_B"
MAGNITUDE = "lora_magnitude_vector"
TASK_TYPES = {
    "BertForSequenceClassification": "SEQ_CLS",
    "BertForTokenClassification": "TOKEN_CLS",
    "BertForQuestionAnswering": "QUESTION_ANS",
    "BertModel": "FEATURE_EXTRACTION",
}
"""PEFT's name of the task for an architecture. Others, such as BertForMultipleChoice, have none."""

_TARGET_MODULES = {
    "query": "query",
    "key": "key",
    "value": "value",
    "attention_output": "attention.output.dense",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
}
"""The ends of the names of the adapted projections. The last one is also an end of that of "attention_output"."""
_LOW_RANK = re.compile(
    rf"(?P<layer>.+)\.(?P<factor>{DOWN}|{UP}|{TABLE_DOWN}|{TABLE_UP}|{MAGNITUDE})(?:\.default)?(?:\.weight)?"
)
_WRAPPERS = (".modules_to_save.default.", ".modules_to_save.", ".base_layer.")
"""The parts of names that come from PEFT's wrappers of modules."""
_MODULES = ("bert.pooler", "classifier", "qa_outputs", "cls", "relation", "predicates", "senses")
"""The modules outside the blocks that can be trained with an adapter."""


def target_modules(targets: Sequence[str]) -> list[str] | str:
    """Returns PEFT's `target_modules` for the projections that LoRA adapts: ends of names, or a regular expression.

    Args:
        targets: Names of projections in `kbert.model_folder.adapters.spec.TARGETS`.
    """
    if "output" in targets and "attention_output" not in targets:
        ends = "|".join(re.escape(_TARGET_MODULES[each]) for each in targets)
        return rf".*\.layer\.\d+\.(attention\.self\.)?({ends})"
    return [_TARGET_MODULES[each] for each in targets]


def modules_to_save(names: Sequence[str]) -> list[str]:
    """Returns PEFT's `modules_to_save`: the modules outside the blocks that have a tensor among these names."""
    modules = [module for module in _MODULES if any(name.startswith(f"{module}.") for name in names)]
    return [module.removeprefix(ENCODER_PREFIX) for module in modules]


def stored_name(name: str, *, bare: bool) -> str:
    """Returns the name in PEFT's file of a tensor with a name of Transformers.

    Args:
        name: The name in a model with heads, such as bert.pooler.dense.weight.
        bare: Whether the model is a BertModel.
    """
    return PREFIX + (name.removeprefix(ENCODER_PREFIX) if bare else name)


def low_rank_name(part: str, layer: int, factor: str, *, bare: bool) -> str:
    """Returns the name in PEFT's file of a matrix of LoRA.

    Args:
        part: The projection, a name in `PARTS`.
        layer: The index of the block.
        factor: `DOWN` or `UP`.
        bare: Whether the model is a BertModel.
    """
    return stored_name(f"{PARTS[part].name.format(layer=layer)}.{factor}.weight", bare=bare)


def read_name(stored: str) -> tuple[str, str | None]:
    """Returns what a tensor of PEFT's file belongs to.

    Args:
        stored: The name in the file.

    Returns:
        The name of the tensor in a model with heads, and None. For a matrix of LoRA, the name of the kernel or the
        table that it belongs to, and the factor, such as `DOWN`.
    """
    name = stored.removeprefix(PREFIX)
    for wrapper in _WRAPPERS:
        name = name.replace(wrapper, ".")
    if name.startswith(("encoder.", "pooler.", "embeddings.")):
        name = ENCODER_PREFIX + name
    match = _LOW_RANK.fullmatch(name)
    return (name, None) if match is None else (f"{match['layer']}.weight", match["factor"])
