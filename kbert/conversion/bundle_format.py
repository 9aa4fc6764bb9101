"""kbert's own format: the model folder, which Hugging Face Transformers opens as it is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from kbert.conversion.format import Format
from kbert.conversion.options import Options, gelu_form, with_gelu
from kbert.model_folder.bundle import Bundle, describe_parameters, is_bundle, model_card
from kbert.model_folder.file_names import WEIGHTS_FILES
from kbert.model_folder.sentence_transformers import CROSS_ENCODER, transformer_path


class BundleFormat(Format):
    """Model folders of kbert, of Transformers and of sentence-transformers."""

    name = "bundle"
    looks_like = "a model folder (config.json and model.safetensors)"
    keeps_dtypes = True
    takes = ()

    def find(self, path: Path) -> Path | None:
        """Finds a folder with config.json and a file of weights."""
        if not path.is_dir() or not is_bundle(path):
            return None
        inner = path / transformer_path(path)
        return path if any((inner / name).exists() for name in WEIGHTS_FILES) else None

    def read(self, place: Path, options: Options) -> Bundle:
        """See `Bundle.load`."""
        bundle = Bundle.load(place, notices=options.notices)
        config = with_gelu(bundle.config, options.gelu)
        if config != bundle.config:
            now, before = gelu_form(config), gelu_form(bundle.config)
            options.notes.append(f"GELU is the {now} form now; the source's is {before}")
        return dataclasses.replace(bundle, config=config)

    def write(self, bundle: Bundle, folder: Path, options: Options) -> None:
        """See `Bundle.save`."""
        modules = bundle.modules
        if modules is not None and not modules.gives_vectors:
            options.notes.append(
                "of the files of sentence-transformers only the activation is kept"
                if modules.kind == CROSS_ENCODER
                else f"the files of sentence-transformers are lost: kbert does not compute {modules.unsupported}"
            )
        parameters = sum(tensor.size for tensor in bundle.tensors.values())
        config = bundle.config
        lines = {
            "Architecture": bundle.architecture,
            "Encoder": f"{config.num_hidden_layers} layers, width {config.hidden_size}, {config.hidden_act}",
            "Parameters": f"{parameters:,}",
            "Notes": "; ".join(options.notes) or "none",
        }
        title = f"BERT ({describe_parameters(parameters)}), converted with kbert"
        bundle.save(folder, model_card(title, lines, "kbert inspect FOLDER"))
