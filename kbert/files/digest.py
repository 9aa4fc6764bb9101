"""Digests, by which the content of files is compared."""

from __future__ import annotations

import hashlib

from kbert.files.paths import PathLike


def file_sha256(*paths: PathLike) -> str:
    """Returns the SHA-256 of the content of files, one after the other, in hexadecimal digits; reads them in blocks."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as handle:
            while block := handle.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
