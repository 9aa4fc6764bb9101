"""The names of the files in a model folder. The files of the tokenizer are in `kbert.text.tokenizer_files`."""

from __future__ import annotations

CONFIG_FILE = "config.json"
SETTINGS_FILE = "kbert.json"
CARD_FILE = "README.md"
RUN_FILE = "run.json"
"""What a run writes first. Without config.json beside it the run has not ended."""

WEIGHTS_FILE, INDEX_FILE = "model.safetensors", "model.safetensors.index.json"
TORCH_FILE, TORCH_INDEX_FILE = "pytorch_model.bin", "pytorch_model.bin.index.json"
WEIGHT_FORMS = ((WEIGHTS_FILE, INDEX_FILE, ".safetensors"), (TORCH_FILE, TORCH_INDEX_FILE, ".bin"))
"""The forms of weights in the order of preference: one file, or an index and its shards, whose names end so."""
WEIGHTS_FILES = (WEIGHTS_FILE, INDEX_FILE, TORCH_FILE, TORCH_INDEX_FILE)
"""The files of weights in a model folder; the first that exists is read."""
