"""The names of the files in a model folder. The files of the tokenizer are in `kbert.text.tokenizer_files.names`."""

from __future__ import annotations

CONFIG_FILE = "config.json"
SETTINGS_FILE = "kbert.json"
CARD_FILE = "README.md"
RUN_FILE = "run.json"
"""The first file that a run writes. A folder with this file and without config.json is an unfinished run."""

ADAPTER_CONFIG_FILE = "adapter_config.json"
ADAPTER_WEIGHTS_FILE, ADAPTER_TORCH_FILE = "adapter_model.safetensors", "adapter_model.bin"
"""The files of an adapter in PEFT's format, and its weights in order of preference."""
ADAPTER_HUB_WEIGHTS_FILE, ADAPTER_HUB_TORCH_FILE = "adapter.safetensors", "pytorch_adapter.bin"
HEAD_CONFIG_FILE, HEAD_WEIGHTS_FILE, HEAD_TORCH_FILE = (
    "head_config.json",
    "model_head.safetensors",
    "pytorch_model_head.bin",
)
"""The files of an adapter in AdapterHub's format besides adapter_config.json."""

WEIGHTS_FILE, INDEX_FILE = "model.safetensors", "model.safetensors.index.json"
TORCH_FILE, TORCH_INDEX_FILE = "pytorch_model.bin", "pytorch_model.bin.index.json"
WEIGHT_FORMS = ((WEIGHTS_FILE, INDEX_FILE, ".safetensors"), (TORCH_FILE, TORCH_INDEX_FILE, ".bin"))
"""The forms of weights, in order of preference: the name of a single file, the name of the index of a sharded model,
and the ending of the shards' names."""
WEIGHTS_FILES = (WEIGHTS_FILE, INDEX_FILE, TORCH_FILE, TORCH_INDEX_FILE)
"""The names of weight files in a model folder; the first that exists is read."""
