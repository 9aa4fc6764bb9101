"""The answers of TensorFlow Serving's REST API."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from kbert.serving import examples
from kbert.serving.limits import Limits
from kbert.serving.model_server import ModelServer, Record, Target, signature_defs, timed_out
from kbert.serving.predicting import Arrays, complete_inputs, wanted_outputs
from kbert.serving.request_error import invalid
from kbert.serving.rest.json_document import parse_object, shown
from kbert.serving.rest.json_examples import classes_text, input_of, values_text
from kbert.serving.rest.json_tensors import columns_text, inputs_arrays, instances_arrays, rows_text
from kbert.serving.signature_names import DEFAULT_SIGNATURE, EXAMPLES
from kbert.serving.tensor_protos import dtype_name

# Larger bodies and answers are converted in a thread, so that the event loop can serve other requests.
_SMALL_BYTES = 2**14
_SMALL_VALUES = 2**12


async def predict(server: ModelServer, target: Target, body: bytes, record: Record) -> str:
    """Returns the JSON text of the answer to a predict request.

    Raises:
        RequestError: The request is invalid, or cannot be answered.
    """
    document = await _maybe_in_thread(len(body) > _SMALL_BYTES, parse_object, body)
    name = _signature_name(document)
    with server.use(target) as served:
        if name not in served.signatures:
            names = ", ".join(sorted(key for key, each in served.signatures.items() if each.inputs))
            raise invalid(f'Serving signature name: "{name:.60}" not found in signature def, which has: {names:.300}')
        signature = served.signatures[name]
        if not signature.inputs:
            raise invalid(f"Failed to get input map for signature: {name}")
        inputs = await _maybe_in_thread(len(body) > _SMALL_BYTES, _predict_inputs, document, signature, server.limits)
        future = server.submit(served, name, inputs, wanted_outputs(signature, ()), record)
        outputs = await _result(future, server.limits.seconds)
    as_text = rows_text if "instances" in document else columns_text
    return await _maybe_in_thread(_is_large(outputs), as_text, outputs)


async def classify(server: ModelServer, target: Target, body: bytes, record: Record) -> str:
    """Returns the JSON text of the answer to a classify request.

    Raises:
        RequestError: The request is invalid, or cannot be answered.
    """
    count, outputs = await _run_examples(server, target, body, record, "Classify")
    return classes_text(examples.classes_of(outputs, count))


async def regress(server: ModelServer, target: Target, body: bytes, record: Record) -> str:
    """Returns the JSON text of the answer to a regress request.

    Raises:
        RequestError: The request is invalid, or cannot be answered.
    """
    count, outputs = await _run_examples(server, target, body, record, "Regress")
    return values_text(examples.values_of(outputs, count))


def status(server: ModelServer, target: Target) -> str:
    """Returns the JSON text of the states of a model's versions. As in TensorFlow Serving, a label is ignored.

    Raises:
        RequestError: There is no such model or version.
    """
    statuses = [
        {
            "version": str(each.version),
            "state": each.state,
            "status": {"error_code": each.error_code, "error_message": each.error_message},
        }
        for each in server.models.status(target.name, target.version)
    ]
    return json.dumps({"model_version_status": statuses}, ensure_ascii=False, indent=1)


def metadata(server: ModelServer, target: Target) -> str:
    """Returns the JSON text of the signatures of a model.

    Raises:
        RequestError: There is no such model, version or label.
    """
    from google.protobuf.json_format import MessageToDict

    with server.use(target) as served:
        signatures = MessageToDict(
            signature_defs(served), preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        spec = {"name": served.name, "signature_name": "", "version": str(served.version)}
    return json.dumps({"model_spec": spec, "metadata": {"signature_def": signatures}}, ensure_ascii=False, indent=1)


def _signature_name(document: dict[str, Any]) -> str:
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {shown(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return name or DEFAULT_SIGNATURE


def _predict_inputs(document: dict[str, Any], signature: Any, limits: Limits) -> Arrays:
    if "instances" in document and "inputs" in document:
        raise invalid(
            f"JSON Value: {shown(document)} Not formatted correctly expecting only one of 'inputs' or 'instances' keys "
            "to exist"
        )
    if "instances" in document:
        instances = document["instances"]
        # The texts are counted before they are converted, which takes long for millions.
        for name, info in signature.inputs.items() if isinstance(instances, list) else ():
            if dtype_name(info.dtype) == "DT_STRING":
                limits.check_texts(name, len(instances))
        given = instances_arrays(instances, signature.inputs, limits.wrap_integers)
    elif "inputs" in document:
        given = inputs_arrays(document["inputs"], signature.inputs, limits.wrap_integers)
    else:
        raise invalid("Missing 'inputs' or 'instances' key")
    return complete_inputs(signature, given)


async def _run_examples(
    server: ModelServer, target: Target, body: bytes, record: Record, api: str
) -> tuple[int, Arrays]:
    """Returns the number of examples, and the outputs for them."""
    document = await _maybe_in_thread(len(body) > _SMALL_BYTES, parse_object, body)
    name = _signature_name(document)
    serialized = await _maybe_in_thread(
        len(body) > _SMALL_BYTES, lambda: examples.serialized_examples(input_of(document))
    )
    choose = examples.classification_outputs if api == "Classify" else examples.regression_outputs
    with server.use(target) as served:
        name, signature = examples.find_examples_signature(served.signatures, name)
        future = server.submit(served, name, {EXAMPLES: serialized}, choose(signature), record, api)
        return len(serialized), await _result(future, server.limits.seconds)


async def _result(future: Any, seconds: float) -> Arrays:
    try:
        # A request whose client is gone, or whose time is over, is cancelled unless it runs already.
        return await asyncio.wait_for(asyncio.wrap_future(future), seconds or None)
    except asyncio.TimeoutError:
        raise timed_out() from None


async def _maybe_in_thread(is_large: bool, function: Any, *arguments: Any) -> Any:
    return await asyncio.to_thread(function, *arguments) if is_large else function(*arguments)


def _is_large(outputs: Arrays) -> bool:
    return sum(array.size for array in outputs.values()) > _SMALL_VALUES
