"""Asks a model behind TensorFlow Serving's REST API about texts; prints one JSON object a line.

    python client.py --model sentiment "good film" "bad film"
    python client.py --model nli "A man sleeps." --pair "A man is awake."

Python's standard library is all it needs, so it runs wherever the server can be reached.
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
    """What keeps the server from answering, in one line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code: 0, 1 where the server cannot answer, 2 for wrong options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="+", metavar="TEXT", help="a text to ask about")
    parser.add_argument("--url", default="http://localhost:8501", help="the server (default: %(default)s)")
    parser.add_argument("--model", required=True, metavar="NAME", help="the model's name on the server")
    parser.add_argument("--version", type=int, metavar="N", help="its version (default: the one served)")
    parser.add_argument("--signature", default="serving_default", help="its signature (default: %(default)s)")
    parser.add_argument(
        "--pair",
        action="append",
        metavar="TEXT",
        help="the second text of a pair; once for each TEXT, in order",
    )
    parser.add_argument(
        "--inputs",
        type=lambda names: names.split(","),
        metavar="NAME[,NAME]",
        help="the model's names for a text and its pair (default: its only input, or text,text_pair)",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long to wait (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    columns = [options.texts] if options.pair is None else [options.texts, options.pair]
    if len(columns[-1]) != len(options.texts):
        parser.error(f"expected one --pair for each of the {len(options.texts)} texts. Received: {len(options.pair)}")
    if options.inputs is not None and len(options.inputs) != len(columns):
        parser.error(f"expected --inputs to name {len(columns)}. Received: {','.join(options.inputs)}")

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
    """The names of a model's text inputs, from its metadata.

    Raises:
        ClientError: They cannot be told; the user has to name them.
    """
    metadata = ask(f"{model}/metadata", None, timeout)
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    if signature not in signatures:
        raise ClientError(f"the model has no signature {signature}; it has: {', '.join(sorted(signatures))}")
    names = sorted(signatures[signature]["inputs"])
    if len(names) != count:
        raise ClientError(f"the model takes {len(names)} inputs ({', '.join(names)}). Received: {count}")
    # The order of two names cannot be seen in metadata, where they have none.
    if count == 1 or names == ["text", "text_pair"]:
        return names
    raise ClientError(f"name the model's inputs in the order of your texts: --inputs {','.join(names)}")


def ask(url: str, body: Any, timeout: float) -> Any:
    """Sends a GET, or a POST of `body`, and returns the JSON that comes back.

    Raises:
        ClientError: No server answers, or it answers with an error.
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
