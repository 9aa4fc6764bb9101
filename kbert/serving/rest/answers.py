"""The answers of TensorFlow Serving's REST API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from kbert.serving import examples
from kbert.serving.limits import Limits
from kbert.serving.model_server import ModelServer, Record, Target, signature_defs, timed_out
from kbert.serving.predicting import Arrays, complete_inputs, wanted_outputs
from kbert.serving.request_error import RequestError, invalid
from kbert.serving.rest.json_document import parse_object, shown
from kbert.serving.rest.json_examples import classes_text, input_of, values_text
from kbert.serving.rest.json_tensors import columns_text, inputs_arrays, instances_arrays, rows_text
from kbert.serving.signature_names import CLASSIFY_METHOD, DEFAULT_SIGNATURE, EXAMPLES, REGRESS_METHOD
from kbert.serving.tensor_protos import dtype_name

# Larger bodies and answers are converted in a thread, so that the event loop can serve other requests.
_SMALL_BYTES = 2**14
_SMALL_VALUES = 2**12


Gone = Callable[[], Awaitable[None]]
"""Returns when the client is gone."""


async def predict(server: ModelServer, target: Target, body: bytes, record: Record, gone: Gone) -> str:
    """Returns the JSON text of the answer to a predict request.

    Args:
        server: The server.
        target: The model.
        body: The JSON text of the request.
        record: Takes the number of rows.
        gone: Returns when the client is gone, which cancels the request.

    Raises:
        RequestError: The request is invalid, cannot be answered, or was cancelled.
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
        outputs = await _result(future, server.limits.seconds, gone)
    as_text = rows_text if "instances" in document else columns_text
    return await _maybe_in_thread(_is_large(outputs), as_text, outputs)


async def classify(server: ModelServer, target: Target, body: bytes, record: Record, gone: Gone) -> str:
    """Returns the JSON text of the answer to a classify request; see `predict`."""
    count, outputs = await _run_examples(server, target, body, record, gone, CLASSIFY_METHOD)
    return classes_text(examples.classes_of(outputs, count))


async def regress(server: ModelServer, target: Target, body: bytes, record: Record, gone: Gone) -> str:
    """Returns the JSON text of the answer to a regress request; see `predict`."""
    count, outputs = await _run_examples(server, target, body, record, gone, REGRESS_METHOD)
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
    server: ModelServer, target: Target, body: bytes, record: Record, gone: Gone, method_name: str
) -> tuple[int, Arrays]:
    """Returns the number of examples, and the outputs for them."""
    document = await _maybe_in_thread(len(body) > _SMALL_BYTES, parse_object, body)
    name = _signature_name(document)
    serialized = await _maybe_in_thread(
        len(body) > _SMALL_BYTES, lambda: examples.serialized_examples(input_of(document))
    )
    with server.use(target) as served:
        name, signature = examples.find_examples_signature(served.signatures, name)
        outputs = examples.OUTPUTS_OF_METHOD[method_name](signature)
        api = "Classify" if method_name == CLASSIFY_METHOD else "Regress"
        future = server.submit(served, name, {EXAMPLES: serialized}, outputs, record, api)
        return len(serialized), await _result(future, server.limits.seconds, gone)


async def _result(future: Any, seconds: float, gone: Gone) -> Arrays:
    """Waits for the outputs, and cancels the request when its client is gone or its time is over."""
    outputs = asyncio.wrap_future(future)

    async def cancel_when_gone() -> None:
        await gone()
        outputs.cancel()

    watching = asyncio.ensure_future(cancel_when_gone())
    try:
        return await asyncio.wait_for(outputs, seconds or None)
    except asyncio.TimeoutError:
        raise timed_out() from None
    except asyncio.CancelledError:
        if not watching.done():
            raise
        raise RequestError("CANCELLED", "the client is gone") from None
    finally:
        watching.cancel()


async def _maybe_in_thread(is_large: bool, function: Any, *arguments: Any) -> Any:
    return await asyncio.to_thread(function, *arguments) if is_large else function(*arguments)


def _is_large(outputs: Arrays) -> bool:
    return sum(array.size for array in outputs.values()) > _SMALL_VALUES
