"""kbert's own format: the model folder, which Hugging Face Transformers can open without conversion."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from kbert.conversion.format import Format
from kbert.conversion.settings import ConversionSettings, gelu_form, with_gelu
from kbert.model_folder.adapters.folder import is_adapter
from kbert.model_folder.bundle import Bundle, is_bundle
from kbert.model_folder.card import describe_parameters, model_card
from kbert.model_folder.file_names import WEIGHTS_FILES
from kbert.model_folder.sentence_files import transformer_path
from kbert.model_folder.sentence_transformers import CROSS_ENCODER


class BundleFormat(Format):
    """The format of model folders of kbert, Transformers and sentence-transformers."""

    name = "bundle"
    looks_like = "a model folder (config.json and model.safetensors)"
    keeps_dtypes = True
    takes = ()

    def find(self, path: Path) -> Path | None:
        """Returns the path if it is a folder with config.json and weights, or that of an adapter."""
        if not path.is_dir() or not is_bundle(path):
            return None
        if is_adapter(path):
            return path
        inner = path / transformer_path(path)
        return path if any((inner / name).exists() for name in WEIGHTS_FILES) else None

    def read(self, place: Path, options: ConversionSettings) -> Bundle:
        """Reads the folder with `Bundle.load`, and applies the option `gelu`."""
        bundle = Bundle.load(place, notices=options.notices)
        config = with_gelu(bundle.config, options.gelu)
        if config != bundle.config:
            now, before = gelu_form(config), gelu_form(bundle.config)
            options.notes.append(f"GELU is changed to the {now} form; the source has the {before} form")
        return dataclasses.replace(bundle, config=config)

    def write(self, bundle: Bundle, folder: Path, options: ConversionSettings) -> None:
        """Writes the folder with `Bundle.save`, with a model card that lists the notes."""
        modules = bundle.modules
        if modules is not None and not modules.gives_vectors:
            options.notes.append(
                "the activation is kept; the other settings in the files of sentence-transformers are not"
                if modules.kind == CROSS_ENCODER
                else "the files of sentence-transformers are not written, because kbert does not support "
                f"{modules.unsupported}"
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
