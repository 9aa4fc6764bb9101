"""Runs AdapterHub's package adapters, for test_adapter_hub.py, in a Python of its own.

    python adapter_hub_probe.py load BASE CLASS LABELS ADAPTER ARRAYS     logits of an adapter that kbert wrote
    python adapter_hub_probe.py train BASE CLASS LABELS ADAPTER ARRAYS    writes an adapter, and its logits

ARRAYS is a .npz file with `ids`; `logits` are added to it.
"""

import sys

import adapters
import numpy as np
import torch
import transformers

what, base, kind, labels, folder, arrays = sys.argv[1:]
names = {str(index): f"label {index}" for index in range(int(labels))}
model = getattr(transformers, kind).from_pretrained(
    base, id2label=names, label2id={name: int(index) for index, name in names.items()}
)
adapters.init(model)
if what == "load":
    name = model.load_adapter(folder, use_safetensors=True)
    model.set_active_adapters(name)
else:
    torch.manual_seed(0)
    model.add_adapter("films", config=adapters.SeqBnConfig(reduction_factor=8, scaling=1.5))
    model.set_active_adapters("films")
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if ".adapters.films." in key or not key.startswith("bert."):
                parameter.copy_(0.3 * torch.randn_like(parameter))
    model.save_adapter(folder, "films", use_safetensors=True)
ids = np.load(arrays)["ids"]
with torch.no_grad():
    outputs = model.eval()(input_ids=torch.tensor(ids), attention_mask=torch.tensor((ids > 0).astype(int)))
np.savez(arrays, ids=ids, logits=outputs.logits.numpy())
