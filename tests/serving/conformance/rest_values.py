"""Rows about the values of predict requests: the types of numbers, strings and bytes, and how numbers are written."""

from __future__ import annotations

from conformance.table import Rest

TESTS = "json_tensor_test.cc"
ECHO, OUTPUTS = "echo:predict", "outputs:predict"


def _echo(
    name: str,
    signature: str,
    values: str,
    answer: str | None = None,
    *,
    error: str = "",
    source: str = "json_tensor.cc",
) -> Rest:
    """A row that sends values to a signature of the model echo, whose name is that of a type."""
    body = f'{{"signature_name": "{signature}", "instances": {values}}}'
    expected = None if answer is None else f'{{"predictions": {answer}}}'
    return Rest(name, ECHO, body, 400 if error else 200, expected, error, source)


def _output(
    name: str, signature: str, values: str, answer: str | None = None, *, error: str = "", source: str = TESTS
) -> Rest:
    body = f'{{"signature_name": "{signature}", "instances": {values}}}'
    expected = None if answer is None else f'{{"predictions": {answer}}}'
    return Rest(name, OUTPUTS, body, 400 if error else 200, expected, error, source)


def _unsupported(name: str, signature: str, dtype: str) -> Rest:
    body = f'{{"signature_name": "{signature}", "inputs": [1]}}'
    return Rest(name, ECHO, body, 501, error=f"Conversion of JSON Value: 1 to type: {dtype}")


ROWS = (
    # Types and their ranges.
    _echo("int8 is a type", "int8", "[-128, 127]", "[-128, 127]"),
    _echo("int16 is a type", "int16", "[-32768, 32767]", "[-32768, 32767]"),
    _echo("int32 is a type", "int32", "[-2147483648, 2147483647]", "[-2147483648, 2147483647]"),
    _echo(
        "int64 is a type",
        "int64",
        "[-9223372036854775808, 9223372036854775807]",
        "[-9223372036854775808, 9223372036854775807]",
    ),
    _echo("uint8 is a type", "uint8", "[0, 255]", "[0, 255]"),
    _echo("uint32 is a type", "uint32", "[0, 4294967295]", "[0, 4294967295]"),
    _echo("uint64 is a type", "uint64", "[0, 18446744073709551615]", "[0, 18446744073709551615]"),
    _echo("bool is a type", "bool", "[true, false]", "[true, false]"),
    _echo("float64 is a type", "float64", "[1.5, 2]", "[1.5, 2.0]"),
    _echo("int32 has a largest number", "int32", "[2147483648]", error="is not of expected type: int32"),
    _echo("int64 has a largest number", "int64", "[9223372036854775808]", error="is not of expected type: int64"),
    _echo("uint32 has no negative numbers", "uint32", "[-1]", error="is not of expected type: uint32"),
    _echo("uint64 has no negative numbers", "uint64", "[-1]", error="is not of expected type: uint64"),
    _echo("uint64 has a largest number", "uint64", "[18446744073709551616]", error="is not of expected type: uint64"),
    _echo("int8 keeps the lower bits of larger numbers", "int8", "[200]", "[-56]"),
    _echo("int16 keeps the lower bits of larger numbers", "int16", "[70000]", "[4464]"),
    _echo("uint8 keeps the lower bits of larger numbers", "uint8", "[300, -1]", "[44, 255]"),
    _echo("a decimal is no int32", "int32", "[1.0]", error="is not of expected type: int32"),
    _echo("an exponent is no int64", "int64", "[1e2]", error="is not of expected type: int64"),
    _echo(
        "a string is no number",
        "float32",
        '["x", "y"]',
        error="Type: String is not of expected type: float",
        source=TESTS,
    ),
    _echo("digits in a string are no number", "int32", '["1"]', error="Type: String is not of expected type: int32"),
    _echo("true is no number", "float32", "[true]", error="Type: True is not of expected type: float"),
    _echo("one is no bool", "bool", "[1]", error="Type: Number is not of expected type: bool"),
    _echo("null is no number", "float32", "[null]", error="Type: Null is not of expected type: float"),
    _echo(
        "an object is no number", "float32", '[[{"b64": "aGk="}]]', error="Type: Object is not of expected type: float"
    ),
    _echo("a number is no string", "string", "[5]", error="Type: Number is not of expected type: string"),
    _unsupported("float16 is no type of JSON", "float16", "half"),
    _unsupported("bfloat16 is no type of JSON", "bfloat16", "bfloat16"),
    _unsupported("uint16 is no type of JSON", "uint16", "uint16"),
    _unsupported("complex64 is no type of JSON", "complex64", "complex64"),
    _echo(
        "a type that JSON lacks is a bad argument in rows",
        "complex64",
        "[1]",
        error="UNIMPLEMENTED: Conversion of JSON Value: 1 to type: complex64",
    ),
    _output(
        "an output of complex64 cannot be written",
        "complex",
        "[1]",
        error="Failed to write JSON value for tensor type: complex64",
    ),
    _output(
        "an output of float16 cannot be written",
        "half",
        "[1]",
        error="Failed to write JSON value for tensor type: half",
        source="json_tensor.cc",
    ),
    # How floats are read.
    _echo(
        "NaN and Infinity are numbers",
        "float32",
        "[NaN, Infinity, -Infinity]",
        "[NaN, Infinity, -Infinity]",
        source=TESTS,
    ),
    _echo(
        "NaN and Infinity are float64",
        "float64",
        "[NaN, Infinity, -Infinity]",
        "[NaN, Infinity, -Infinity]",
        source=TESTS,
    ),
    _echo("Inf is Infinity", "float32", "[Inf, -Inf]", "[Infinity, -Infinity]"),
    _echo("NaN is no whole number", "int32", "[NaN]", error="is not of expected type: int32"),
    _echo("a number beyond float32 is infinite", "float32", "[1e39, -1e39]", "[Infinity, -Infinity]", source=TESTS),
    _echo("a number too small for float32 is zero", "float32", "[1e-60, -1e-60]", "[0.0, -0.0]", source=TESTS),
    _echo("a whole number loses digits in float32", "float32", "[16777217]", "[16777216.0]", source=TESTS),
    _echo("a whole number beyond int64 is a float", "float32", "[100000000000000000000]", "[1e+20]"),
    _output("a division by zero is written", "nonfinite", "[1, -1, 0]", "[Infinity, -Infinity, NaN]"),
    # How floats are written.
    _echo("whole floats have a fraction", "float32", "[3, -40, 0]", "[3.0, -40.0, 0.0]", source=TESTS),
    _echo(
        "six digits are written where they suffice",
        "float32",
        "[0.1, 0.25, 123456, 3.14159]",
        "[0.1, 0.25, 123456.0, 3.14159]",
        source=TESTS,
    ),
    _echo(
        "nine digits are written where they are needed",
        "float32",
        "[0.33333334, 3.1415927, 1234567]",
        "[0.333333343, 3.14159274, 1234567.0]",
    ),
    _echo(
        "large and small floats have exponents",
        "float32",
        "[2500000, 4e7, 0.0001, 0.00004]",
        "[2.5e+06, 4e+07, 0.0001, 4e-05]",
        source=TESTS,
    ),
    _echo("the largest float32 has nine digits", "float32", "[3.4028235e38]", "[3.40282347e+38]"),
    _echo(
        "float64 has seventeen digits where they are needed",
        "float64",
        "[0.1, 0.3333333333333333, 1e-7]",
        "[0.1, 0.33333333333333331, 1e-07]",
    ),
    # Strings and bytes.
    _echo("strings are text", "string", '["", "Grüße", "猫"]', '["", "Grüße", "猫"]', source="api_rest.md"),
    _echo("strings may be escaped", "string", r'["\u732b \ud83d\ude00 \"\n"]', '["猫 😀 \\"\\n"]'),
    _echo("a string may hold a null character", "string", r'["a\u0000b"]', r'["a\u0000b"]'),
    _echo("bytes are base64", "string", '[{"b64": "aGVsbG8="}, {"b64": ""}]', '["hello", ""]', source=TESTS),
    _echo("bytes may be in lists", "string", '[[{"b64": "aGk="}, "you"]]', '[["hi", "you"]]', source=TESTS),
    _echo("bytes may have a name", "string", '[{"x": {"b64": "aGk="}}]', '["hi"]', source=TESTS),
    _echo("bytes that are no text are written as they are", "string", '[{"b64": "/w=="}]', '["\udcff"]'),
    _echo("base64 may lack its padding", "string", '[{"b64": "aGk"}]', '["hi"]'),
    _echo("base64 may hold spaces", "string", '[{"b64": "aG k=\\n"}]', '["hi"]'),
    _echo("base64 in the alphabet of URLs is refused", "string", '[{"b64": "__8="}]', error="Unable to base64 decode"),
    _echo("what is not base64 is refused", "string", '[{"b64": "*"}]', error="Unable to base64 decode"),
    _echo(
        "an object with other keys is no base64",
        "string",
        '[[{"b64": "aGk=", "c": 1}]]',
        error="not formatted correctly for base64 data",
    ),
    _echo("base64 is a string", "string", '[{"b64": 5}]', error="JSON object: does not have named input: b64"),
    _output(
        "outputs that end in _bytes are base64",
        "text_bytes",
        '["hi", {"b64": "/w=="}]',
        '[{"b64": "aGk="}, {"b64": "/w=="}]',
    ),
    _output("numbers whose name ends in _bytes are numbers", "numbers_bytes", "[1]", "[1.0]", source="json_tensor.cc"),
)
