"""Rows about paths and methods."""

from __future__ import annotations

from conformance.table import Rest

REGEX, REGEX_TESTS, HANDLER, TESTS = (
    "http_rest_api_util.cc",
    "http_rest_api_util_test.cc",
    "http_rest_api_handler.cc",
    "http_rest_api_handler_test.cc",
)
_X, _Y = '{"instances": [6.0]}', '{"predictions": [5.0]}'


def _malformed(name: str, method: str, target: str, source: str = TESTS) -> Rest:
    return Rest(
        name, target, "{}" if method != "GET" else "", 400, error="Malformed request: ", source=source, method=method
    )


ROWS = (
    # Paths that are taken.
    Rest("a path names the version", "half_plus_two/versions/123:predict", _X, answer=_Y, source=TESTS),
    Rest("a version may have zeros in front", "half_plus_two/versions/000123:predict", _X, answer=_Y, source=REGEX),
    Rest("a path is taken in any case", "/V1/Models/half_plus_two/Versions/123:predict", _X, answer=_Y, source=REGEX),
    Rest("a path may be escaped", "%68alf_plus_two:predict", _X, answer=_Y, source=REGEX),
    Rest(
        "a model's name may hold escaped signs", "half%20plus%2Ftwo%3A%C3%A9:predict", _X, answer=_Y, source=REGEX_TESTS
    ),
    Rest(
        "a model's name may hold escaped signs in lower case",
        "half%20plus%2ftwo%3a%c3%a9/versions/123:predict",
        _X,
        answer=_Y,
        source=REGEX_TESTS,
    ),
    # Models and versions that are not there.
    Rest(
        "an unknown model is not found",
        "nobody:predict",
        _X,
        404,
        error="Servable not found for request: Latest(nobody)",
        source="api_rest.md",
    ),
    Rest(
        "a version of an unknown model is not found",
        "nobody/versions/50:predict",
        _X,
        404,
        error="Servable not found for request: Specific(nobody, 50)",
        source=TESTS,
    ),
    Rest(
        "an unknown version is not found",
        "half_plus_two/versions/99:predict",
        _X,
        404,
        error="Servable not found for request: Specific(half_plus_two, 99)",
        source=TESTS,
    ),
    Rest(
        "the name of a model is case-sensitive",
        "Half_Plus_Two:predict",
        _X,
        404,
        error="Servable not found for request: Latest(Half_Plus_Two)",
        source=REGEX,
    ),
    Rest(
        "a version beyond int64 has an empty answer",
        "half_plus_two/versions/9223372036854775808:predict",
        _X,
        400,
        answer="",
        source=HANDLER,
    ),
    Rest(
        "the status of a version beyond int64 is an empty answer",
        "half_plus_two/versions/18446744073709551616",
        "",
        400,
        answer="",
        source=HANDLER,
        method="GET",
    ),
    Rest(
        "the largest version is looked for",
        "half_plus_two/versions/9223372036854775807:predict",
        _X,
        404,
        error="Specific(half_plus_two, 9223372036854775807)",
        source=REGEX,
    ),
    # Paths that are not taken.
    _malformed("another path below v1 is malformed", "GET", "/v1/other"),
    _malformed("another path below v1 is malformed to POST", "POST", "/v1/other"),
    _malformed("models alone take no POST", "POST", "/v1/models"),
    _malformed("a slash at the end is malformed", "GET", "/v1/models/half_plus_two/", REGEX),
    _malformed("GET takes no predict", "GET", "half_plus_two:predict"),
    _malformed("POST takes no status", "POST", "half_plus_two", REGEX),
    _malformed("POST takes no metadata", "POST", "half_plus_two/metadata"),
    _malformed("a path in a model is malformed", "GET", "half_plus_two/other"),
    _malformed("a version is introduced by versions", "POST", "half_plus_two/version/123:predict"),
    _malformed("a label is introduced by labels", "POST", "half_plus_two/label/stable:predict"),
    _malformed("a version is a number", "POST", "half_plus_two/versions/newest:predict"),
    _malformed("a version is not negative", "POST", "half_plus_two/versions/-1:predict", REGEX),
    _malformed("a version excludes a label", "POST", "half_plus_two/versions/123/labels/stable:predict"),
    _malformed("an unknown verb is malformed", "POST", "half_plus_two:explain", REGEX),
    _malformed("a verb in upper case is malformed", "POST", "half_plus_two:PREDICT", HANDLER),
    _malformed("two verbs are malformed", "POST", "half_plus_two:predict:predict", REGEX),
    _malformed("a POST with a query is malformed", "POST", "half_plus_two:predict?verbose=1", "evhttp_request.cc"),
    _malformed("PUT is malformed", "PUT", "half_plus_two:predict", HANDLER),
    _malformed("PATCH is malformed", "PATCH", "half_plus_two:predict", HANDLER),
    _malformed("DELETE is malformed", "DELETE", "half_plus_two", HANDLER),
    Rest("HEAD is malformed", "half_plus_two", "", 400, source=HANDLER, method="HEAD"),
    Rest(
        "a malformed request is named",
        "/v1/other",
        "",
        400,
        error="Malformed request: GET /v1/other",
        source=HANDLER,
        method="GET",
    ),
    Rest(
        "models alone have no status",
        "/v1/models",
        "",
        400,
        error="Missing model name in request.",
        source=TESTS,
        method="GET",
    ),
    Rest(
        "models alone have no metadata",
        "/v1/models/metadata",
        "",
        404,
        error="Could not find any versions of model metadata",
        source=REGEX,
        method="GET",
    ),
    Rest(
        "another version of the API is not found",
        "/v2/models/half_plus_two:predict",
        _X,
        404,
        source="evhttp_server.cc",
    ),
    Rest("v1 alone is not found", "/v1", "", 404, source="http_rest_api_util.h", method="GET"),
    Rest("OPTIONS of another path is not found", "/statuspage", "", 404, source=TESTS, method="OPTIONS"),
    Rest(
        "the path of the metrics takes no query",
        "/monitoring/prometheus/metrics?name=request_count",
        "",
        400,
        source="http_server.cc",
        method="GET",
    ),
    # OPTIONS.
    Rest(
        "OPTIONS from a page is taken",
        "half_plus_two:predict",
        "",
        200,
        answer="",
        source="http_server.cc",
        method="OPTIONS",
        headers={"Origin": "https://page.example"},
    ),
    Rest(
        "OPTIONS from a page of HTTP is taken",
        "/v1/other",
        "",
        200,
        answer="",
        source="http_server.cc",
        method="OPTIONS",
        headers={"Origin": "http://127.0.0.1:3000"},
    ),
    Rest(
        "OPTIONS without an origin is refused",
        "half_plus_two:predict",
        "",
        400,
        answer="",
        source="http_server.cc",
        method="OPTIONS",
    ),
    Rest(
        "OPTIONS from another origin is refused",
        "half_plus_two:predict",
        "",
        400,
        answer="",
        source="http_server.cc",
        method="OPTIONS",
        headers={"Origin": "null"},
    ),
)
