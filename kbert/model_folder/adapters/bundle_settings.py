"""The settings of a model that consists of a base model and an adapter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kbert.errors import BundleError, shown
from kbert.model_folder.adapters.base import SECTION
from kbert.model_folder.adapters.folder import Adapter
from kbert.model_folder.adapters.peft_names import TASK_TYPES
from kbert.model_folder.parts import CLASSIFIER_TENSORS
from kbert.text.mediapipe_tokenizer import mediapipe_tokenizer
from kbert.text.settings import MEDIAPIPE, NORMALIZATIONS
from kbert.text.tokenizer import Tokenizer

ARCHITECTURE, CONFIG = "architecture", "config"
"""The keys in the section about the adapter in its kbert.json: the architecture of the whole model, and further keys of
its config.json."""
NORMALIZATION = "normalization"
"""The key there of the normalization of text, if it is not that of the base model."""
_LABELS = ("id2label", "label2id", "num_labels")


def adapted_settings(
    adapter: Adapter, *, architecture: str, foreign_config: Mapping[str, Any]
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Returns the architecture, the settings and the further configuration of the whole model.

    Args:
        adapter: The adapter.
        architecture: The architecture of the base model.
        foreign_config: The further keys of the base model's config.json.

    Returns:
        The class name of the model in Transformers, the contents of its kbert.json, and further keys of its
        config.json.

    Raises:
        BundleError: kbert.json is invalid.
    """
    settings = {name: value for name, value in adapter.settings.items() if name != SECTION}
    section = adapter.settings.get(SECTION)
    if section is not None:
        if not isinstance(section, dict) or not isinstance(section.get(ARCHITECTURE), str):
            raise BundleError(f"kbert.json: expected the settings of the adapter. Received: {shown(section)}")
        further = section.get(CONFIG, {})
        return section[ARCHITECTURE], settings, dict(further) if isinstance(further, dict) else {}
    by_task = {task_type: name for name, task_type in TASK_TYPES.items()}
    name = adapter.architecture or by_task.get(str(adapter.config.get("task_type")), architecture)
    if adapter.further:
        return name, {}, {key: value for key, value in foreign_config.items() if key not in _LABELS} | adapter.further
    further = dict(foreign_config)
    classifier = adapter.tensors.get(CLASSIFIER_TENSORS[0])
    if classifier is not None and len(further.get("id2label") or ()) != len(classifier):
        # The base model's labels are those of another head.
        further = {key: value for key, value in further.items() if key not in _LABELS}
        further["num_labels"] = len(classifier)
    return name, {}, further


def adapted_tokenizer(adapter: Adapter, tokenizer: Tokenizer) -> Tokenizer:
    """Returns the tokenizer of the whole model: that of the base model, with the normalization of the adapter.

    Args:
        adapter: The adapter.
        tokenizer: The tokenizer of the base model.

    Raises:
        BundleError: The normalization in kbert.json is invalid.
    """
    section = adapter.settings.get(SECTION)
    normalization = section.get(NORMALIZATION) if isinstance(section, dict) else None
    if normalization is not None and normalization not in NORMALIZATIONS:
        raise BundleError(
            f"kbert.json: expected one of {', '.join(NORMALIZATIONS)} as the {NORMALIZATION} of the adapter. "
            f"Received: {shown(normalization)}"
        )
    return mediapipe_tokenizer(tokenizer) if normalization == MEDIAPIPE else tokenizer
