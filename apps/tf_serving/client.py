"""Sends texts to a model with TensorFlow Serving's REST API, and prints one JSON object per line.

    python client.py --model sentiment "good film" "bad film"
    python client.py --model nli "A man sleeps." --pair "A man is awake."

It needs only Python's standard library.
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from typing import Any


class ClientError(Exception):
    """An error message for the user, in one line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program, and returns its exit code: 0 for success, 1 if the server gives no answer.

    Invalid options end the process with the exit code 2.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="+", metavar="TEXT", help="a text for the model")
    parser.add_argument(
        "--url", default="http://localhost:8501", help="the address of the server (default: %(default)s)"
    )
    parser.add_argument("--model", required=True, metavar="NAME", help="the name of the model on the server")
    parser.add_argument(
        "--version", type=int, metavar="N", help="the version of the model (default: the served version)"
    )
    parser.add_argument(
        "--signature", default="serving_default", help="the signature of the model (default: %(default)s)"
    )
    parser.add_argument(
        "--pair",
        action="append",
        metavar="TEXT",
        help="the second text of a pair; give the option once for each TEXT, in the same order",
    )
    parser.add_argument(
        "--inputs",
        type=lambda names: names.split(","),
        metavar="NAME[,NAME]",
        help="the model's input names for a text and its pair (default: the only input, or text,text_pair)",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long to wait for an answer (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    columns = [options.texts] if options.pair is None else [options.texts, options.pair]
    if len(columns[-1]) != len(options.texts):
        parser.error(f"expected one --pair for each of the {len(options.texts)} texts. Received: {len(options.pair)}")
    if options.inputs is not None and len(options.inputs) != len(columns):
        parser.error(f"expected --inputs with {len(columns)} names. Received: {','.join(options.inputs)}")

    model = f"{options.url.rstrip('/')}/v1/models/{urllib.parse.quote(options.model, safe='')}"
    if options.version is not None:
        model += f"/versions/{options.version}"
    try:
        names = options.inputs or input_names(model, options.signature, len(columns), options.timeout)
        instances = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        body = {"signature_name": options.signature, "instances": instances}
        answer = ask(f"{model}:predict", body, options.timeout)
    except ClientError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    for instance, prediction in zip(instances, answer["predictions"], strict=True):
        print(json.dumps({**instance, "prediction": prediction}, ensure_ascii=False))
    return 0


def input_names(model: str, signature: str, count: int, timeout: float) -> list[str]:
    """Returns the names of a model's text inputs, from its metadata.

    Args:
        model: The URL of the model.
        signature: The name of the signature.
        count: The number of text inputs.
        timeout: The seconds to wait for an answer.

    Raises:
        ClientError: The model has no such signature or another number of inputs, or the order of its inputs is unknown.
    """
    metadata = ask(f"{model}/metadata", None, timeout)
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    if signature not in signatures:
        raise ClientError(f"the model has no signature {signature}; it has: {', '.join(sorted(signatures))}")
    names = sorted(signatures[signature]["inputs"])
    if len(names) != count:
        raise ClientError(f"the model takes {len(names)} inputs ({', '.join(names)}). Received: {count}")
    # The metadata do not contain the order of the inputs.
    if count == 1 or names == ["text", "text_pair"]:
        return names
    raise ClientError(f"name the model's inputs in the order of your texts: --inputs {','.join(names)}")


def ask(url: str, body: Any, timeout: float) -> Any:
    """Sends a GET request, or a POST request with `body`, and returns the JSON of the answer.

    Args:
        url: The URL.
        body: The body of a POST request; None sends a GET request.
        timeout: The seconds to wait for an answer.

    Raises:
        ClientError: No server answers, or the server answers with an error.
    """
    data = None if body is None else json.dumps(body).encode("utf-8")
    try:
        request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as problem:
        with problem:
            text = problem.read().decode("utf-8", errors="replace")
        try:
            text = json.loads(text)["error"]
        except (ValueError, KeyError, TypeError):
            text = text.strip() or problem.reason
        raise ClientError(f"{url} answers {problem.code}: {text}") from None
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "reason", problem)
        raise ClientError(f"no answer from {url} ({reason}); is the server running there?") from None


if __name__ == "__main__":
    sys.exit(main())
