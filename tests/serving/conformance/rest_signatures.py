"""Rows about signatures that do not suit classify and regress over REST."""

from __future__ import annotations

from conformance.table import Rest

CLASSIFIER, REGRESSOR = "classifier.cc", "regressor.cc"
HALF_C, HALF_R = "half_plus_two:classify", "half_plus_two:regress"
C, R = "examples:classify", "examples:regress"


def _bad_classifier(name: str, signature: str, error: str, examples: str = "[{}, {}]") -> Rest:
    body = f'{{"signature_name": "{signature}", "examples": {examples}}}'
    return Rest(name, "misfits:classify", body, 400, error=error, source=CLASSIFIER)


def _bad_regressor(name: str, signature: str, error: str, examples: str = "[{}, {}]") -> Rest:
    body = f'{{"signature_name": "{signature}", "examples": {examples}}}'
    return Rest(name, "misfits:regress", body, 400, error=error, source=REGRESSOR)


ROWS = (
    # Signatures.
    Rest(
        "classify needs a signature that exists",
        C,
        '{"signature_name": "other", "examples": [{}]}',
        400,
        error="No signature was found with the name: other",
        source=CLASSIFIER,
    ),
    Rest(
        "regress needs a signature that exists",
        R,
        '{"signature_name": "other", "examples": [{}]}',
        400,
        error="No signature was found with the name: other",
        source=REGRESSOR,
    ),
    Rest(
        "classify of a model without signatures is refused",
        "unsigned:classify",
        '{"examples": [{}]}',
        400,
        error="No signature was found with the name: serving_default",
        source=CLASSIFIER,
    ),
    Rest(
        "classify needs an input called inputs",
        HALF_C,
        '{"examples": [{"x": 6.0}]}',
        400,
        error="No classification inputs found in SignatureDef: ",
        source=CLASSIFIER,
    ),
    Rest(
        "regress needs an input called inputs",
        HALF_R,
        '{"examples": [{"x": 6.0}]}',
        400,
        error="No regression inputs found in SignatureDef: ",
        source=REGRESSOR,
    ),
    Rest(
        "regress needs an output called outputs",
        HALF_R,
        '{"signature_name": "classify_x_to_y", "examples": [{"x": 6.0}]}',
        400,
        error="No regression outputs found in SignatureDef: ",
        source=REGRESSOR,
    ),
    _bad_classifier("classify needs one input", "two_inputs", "Expected one input Tensor."),
    _bad_classifier(
        "classify needs classes or scores",
        "no_outputs_known",
        'Expected classification signature outputs to contain at least one of "classes" or "scores"',
    ),
    _bad_classifier(
        "classify needs at most two outputs", "three_outputs", "Expected one or two output Tensors, found 3"
    ),
    _bad_classifier(
        "scores have two dimensions", "flat_scores", "Expected Tensor shape: [batch_size num_classes] but got [2]"
    ),
    _bad_classifier("scores are float32", "double_scores", "Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE"),
    _bad_classifier("classes are strings", "number_classes", "Expected classes Tensor of DT_STRING. Got: DT_INT64"),
    _bad_classifier(
        "scores have a row for each example", "one_row_of_scores", "Expected scores output batch size of 2. Got: 1"
    ),
    _bad_classifier(
        "classes have a row for each example", "one_row_of_classes", "Expected classes output batch size of 2. Got: 1"
    ),
    _bad_classifier(
        "classes and scores are equally many",
        "more_scores_than_classes",
        "Tensors class and score should match in dim_size(1). Got 1 vs. 2",
    ),
    _bad_regressor("regress needs one input", "two_inputs", "Expected one input Tensor."),
    _bad_regressor("regress needs one output", "two_outputs", "Expected one output Tensor."),
    _bad_regressor(
        "regress needs one column",
        "wide_outputs",
        "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [2,2]",
    ),
    _bad_regressor(
        "outputs of regress are float32", "double_outputs", "Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE"
    ),
    _bad_regressor(
        "regress has an output for each example",
        "one_output",
        "Input batch size did not match output batch size: 2 vs. 1",
    ),
)
