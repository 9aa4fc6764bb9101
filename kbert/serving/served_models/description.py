"""What a server serves, as JSON for people and for the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kbert.serving.request_error import RequestError
from kbert.serving.served_models.served_models import ServedModels
from kbert.serving.tensor_protos import dtype_name


def describe_models(models: ServedModels) -> dict[str, Any]:
    """Returns the names, versions, labels, signatures and manifests of all models with a version that answers."""
    result = []
    for name in models.names():
        try:
            statuses = models.status(name)
            with models.use(name) as served:
                signatures = {
                    key: {"inputs": _tensors(each.inputs), "outputs": _tensors(each.outputs)}
                    for key, each in sorted(served.signatures.items())
                    if each.inputs
                }
                manifest = served.manifest
        except RequestError:
            continue  # the model was removed meanwhile, or none of its versions can be loaded
        labels = models.labels(name)
        versions = [
            {
                "version": str(status.version),
                "state": status.state,
                "labels": sorted(label for label, version in labels.items() if version == status.version),
            }
            for status in statuses
        ]
        result.append({"name": name, "versions": versions, "manifest": manifest, "signatures": signatures})
    return {"models": result}


def _tensors(infos: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the dtype and the shape of each tensor; a shape is None if the rank is free."""
    return {
        key: {
            "dtype": dtype_name(info.dtype),
            "shape": None if info.tensor_shape.unknown_rank else [each.size for each in info.tensor_shape.dim],
        }
        for key, info in sorted(infos.items())
    }
