"""Bodies and paths of requests that are wrong in every way."""

import json

VALID = [
    {"instances": ["a", "bc"]},
    {"instances": [{"text": "a"}]},
    {"inputs": {"text": ["a"]}},
    {"signature_name": "numbers", "instances": [[1, 2.5], [3, 4]]},
    {
        "signature_name": "classify",
        "examples": [{"a": 1, "b": ["x", "y"], "c": 0.5}],
        "context": {"d": {"b64": "eA=="}},
    },
]
LEAVES = [
    None,
    True,
    0,
    -1,
    2**31,
    2**63,
    -(2**63) - 1,
    2**64,
    10**400,
    1e308,
    1e39,
    -1e-320,
    "",
    "x" * 5000,
    "\ud800",
    "\0",
    "日本",
    {"b64": "!"},
    {"b64": "AA"},
    {"b64": 3},
    {"b64": ["a"]},
    [],
    {},
    [[]],
    [[1], [2, 3]],
    {"": {"": ""}},
    {"\ud800": 1},
]
KEYS = ["instances", "inputs", "signature_name", "examples", "context", "text", "x", "b64", "", "\udfff"]
WORDS = [b"NaN", b"Infinity", b"-Inf", b"1e999999", b"-", b"0x10", b"01", b"tru", b"'a'", b"/*", b"\xff", b"\xc0\x80"]


def mutated(rng, value, depth=0):
    """A JSON value in which something is replaced, removed, repeated or nested."""
    if depth > 6 or rng.random() < 0.2:
        return rng.choice(LEAVES)
    if isinstance(value, dict) and value:
        key = rng.choice(list(value))
        result = {name: mutated(rng, item, depth + 1) if name == key else item for name, item in value.items()}
        if rng.random() < 0.3:
            result[rng.choice(KEYS)] = rng.choice(LEAVES)
        if rng.random() < 0.2:
            del result[key]
        return result
    if isinstance(value, list) and value:
        index = rng.randrange(len(value))
        result = [mutated(rng, item, depth + 1) if place == index else item for place, item in enumerate(value)]
        return result * rng.choice([1, 1, 1, 2, 50])
    return rng.choice([[value], {"text": value}, rng.choice(LEAVES)])


def json_body(rng):
    body = json.dumps(mutated(rng, rng.choice(VALID))).encode("utf-8")
    for _ in range(rng.choice([0, 0, 1, 3])):
        at = rng.randrange(len(body) + 1)
        body = body[:at] + rng.choice([*WORDS, rng.randbytes(3), b""]) + body[at + rng.randrange(4) :]
    return body


def deep_body(rng):
    depth = rng.choice([10, 100, 1000, 3000, 20_000])
    opening, closing = rng.choice([(b"[", b"]"), (b'{"a":', b"}"), (b"[[],", b"]"), (b'[{"instances":', b"}]")])
    body = opening * depth + b"1" + closing * rng.choice([0, depth, depth - 1])
    return rng.choice([body, b'{"instances": ' + body + b"}", b'{"x": ' + body + b', "instances": ["a"]}'])


def wide_body(rng):
    size = rng.choice([100, 10_001, 50_000])
    part = rng.choice([b'"a"', b"1", b"[1,2]", b'{"text":"a"}', b"{}", b"[]", b'{"b64":"QQ=="}'])
    return b'{"instances": [' + b",".join([part] * size) + rng.choice([b"]}", b", null]}", b""])


def random_body(rng):
    return rng.randbytes(rng.choice([0, 1, 10, 1000, 20_000]))


BODIES = [json_body] * 12 + [deep_body, wide_body, random_body, random_body]
PATHS = [
    *["/v1/models/m:predict"] * 8,
    "/v1/models/m:classify",
    "/v1/models/m:classify",
    "/v1/models/m:regress",
    "/v1/models/m/versions/1:predict",
    "/v1/models/m/versions/7:predict",
    "/v1/models/m/versions/99999999999999999999:predict",
    "/v1/models/m/labels/none:predict",
    "/v1/models/%ff%00:predict",
    "/v1/models/none:predict",
    "/v1/models/m:train",
    "/v1/models//m:predict",
    "/v1/models/m/metadata",
    "/v1/models/m/versions/2",
    "/v1/models",
    "/kbert/models",
    "/health/ready",
    "/../../etc/passwd",
    "/",
    "/%",
]
