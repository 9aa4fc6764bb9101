"""The files of the library sentence-transformers in a model folder, which define how a text becomes a vector.

    modules.json                        the modules in order: Transformer, Pooling, and optionally Normalize
    1_Pooling/config.json               how the token vectors are combined into one vector
    2_Normalize/                        the vector is scaled to the length 1
    sentence_bert_config.json           the longest input; this file is beside the transformer's files
    config_sentence_transformers.json   prompts, the kind of the model, and how vectors are compared

The transformer's own files are in the folder itself, or in the subfolder that modules.json names, such as
0_Transformer. `sentence_files.py` reads them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import shown
from kbert.version import __version__

MODULES_FILE = "modules.json"
LIBRARY_FILE = "config_sentence_transformers.json"
TRANSFORMER_FILE = "sentence_bert_config.json"
MODULE_FILE = "config.json"
"""The settings file of each module other than the transformer, in the module's folder."""

POOLINGS = ("mean", "cls", "max")
"""The supported poolings: the mean of all token vectors, the vector of [CLS], and the maximum of each dimension."""
SIMILARITIES = ("cosine", "dot")

EMBEDDER = "SentenceTransformer"
CROSS_ENCODER = "CrossEncoder"

SHORTEST_INPUT = 5
"""The smallest `max_length` in tokens."""
MODULE_PREFIX = "sentence_transformers."
"""The beginning of the class names of the library's own modules in modules.json."""
POOLING_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""The poolings of the library, by the flags of older files."""


@dataclasses.dataclass(frozen=True)
class SentenceModules:
    """The settings of a model in the files of sentence-transformers.

    Args:
        pooling: How token vectors are combined: "mean", "cls" or "max".
        normalize: Whether vectors are scaled to the length 1.
        max_length: The longest input in tokens, special tokens included; None if only the tokenizer gives it.
        lowercase: Whether text is lower-cased in addition to what the tokenizer's settings say.
        prompts: Texts that are prepended to an input, by name.
        default_prompt: The name of the prompt that is used by default, or None.
        include_prompt: Whether the tokens of a prompt are included in the pooling.
        similarity: How vectors are compared: "cosine", "dot", or another name from the files.
        kind: The name of the model's class in the library: "SentenceTransformer", "CrossEncoder" or another.
        activation: The dotted name of the function that a cross-encoder applies to its logit; None if no file names it.
        unsupported: A description of the first setting or module that kbert does not support, or None.
    """

    pooling: str = "mean"
    normalize: bool = True
    max_length: int | None = None
    lowercase: bool = False
    prompts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    default_prompt: str | None = None
    include_prompt: bool = True
    similarity: str = "cosine"
    kind: str = EMBEDDER
    activation: str | None = None
    unsupported: str | None = None

    @property
    def gives_vectors(self) -> bool:
        """Whether the model computes vectors of texts, and kbert supports all of its modules."""
        return self.kind == EMBEDDER and self.unsupported is None

    def to_dict(self) -> dict[str, Any]:
        """Returns the settings as a JSON object."""
        return dataclasses.asdict(self) | {"prompts": dict(self.prompts)}

    @classmethod
    def from_dict(cls, values: Any) -> SentenceModules:
        """Returns the settings from the result of `to_dict`. The values are untrusted and therefore checked.

        Raises:
            ValueError: A key is unknown, or a value is invalid.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(values, Mapping) or not set(values) <= names:
            raise ValueError(f"expected an object with some of {', '.join(sorted(names))}. Received: {shown(values)}")
        found = cls(**values)
        texts = (found.pooling, found.similarity, found.kind)
        optional = (found.default_prompt, found.activation, found.unsupported)
        flags = (found.normalize, found.lowercase, found.include_prompt)
        length, prompts = found.max_length, found.prompts
        if (
            not all(isinstance(value, str) for value in texts)
            or not all(value is None or isinstance(value, str) for value in optional)
            or not all(isinstance(value, bool) for value in flags)
            or not (length is None or (type(length) is int and length >= SHORTEST_INPUT))
            or not isinstance(prompts, Mapping)
            or not all(isinstance(value, str) for value in (*prompts, *prompts.values()))
            or found.pooling not in POOLINGS
            or (found.default_prompt is not None and found.default_prompt not in prompts)
        ):
            raise ValueError(f"expected the settings of sentence-transformers. Received: {shown(dict(values))}")
        return found

    def save(self, folder: files.PathLike, width: int) -> None:
        """Writes the files into a model folder, in the form that versions 2 and later of the library can read.

        Args:
            folder: The folder with the transformer's files.
            width: The number of dimensions of the vectors.
        """
        folder = Path(folder)
        modules = ["Transformer", "Pooling", *(["Normalize"] if self.normalize else [])]
        paths = ["", *(f"{index}_{name}" for index, name in enumerate(modules) if index)]
        for path in paths[1:]:
            (folder / path).mkdir(exist_ok=True)
        pooling = {name: mode == self.pooling for name, mode in POOLING_FLAGS.items()}
        files.write_json(
            folder / paths[1] / MODULE_FILE,
            {"word_embedding_dimension": width, **pooling, "include_prompt": self.include_prompt},
        )
        if self.normalize:
            files.write_json(folder / paths[2] / MODULE_FILE, {})
        files.write_json(
            folder / TRANSFORMER_FILE, {"max_seq_length": self.max_length, "do_lower_case": self.lowercase}
        )
        files.write_json(
            folder / LIBRARY_FILE,
            {
                "model_type": EMBEDDER,
                "__version__": {"kbert": __version__},
                "prompts": dict(self.prompts),
                "default_prompt_name": self.default_prompt,
                "similarity_fn_name": self.similarity,
            },
        )
        files.write_json(
            folder / MODULES_FILE,
            [
                {"idx": index, "name": str(index), "path": path, "type": f"{MODULE_PREFIX}models.{name}"}
                for index, (name, path) in enumerate(zip(modules, paths, strict=True))
            ],
        )
