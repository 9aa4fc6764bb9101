import pytest
from conformance import (
    rest_documents,
    rest_examples,
    rest_inputs,
    rest_instances,
    rest_models,
    rest_paths,
    rest_signatures,
    rest_values,
)
from conformance.client import check_rest


def rows(*tables):
    return pytest.mark.parametrize("row", [row for table in tables for row in table], ids=lambda row: row.name)


@pytest.mark.long
@rows(rest_documents.ROWS)
def test_documents(server, row):
    check_rest(server, row)


@rows(rest_instances.ROWS, rest_inputs.ROWS)
def test_rows_and_columns(server, row):
    check_rest(server, row)


@rows(rest_values.ROWS)
def test_values(server, row):
    check_rest(server, row)


@rows(rest_paths.ROWS)
def test_paths(server, row):
    check_rest(server, row)


@rows(rest_examples.ROWS, rest_signatures.ROWS)
def test_classify_and_regress(server, row):
    check_rest(server, row)


@rows(rest_models.ROWS)
def test_models(server, row):
    check_rest(server, row)


@rows(rest_models.LABEL_ROWS)
def test_labels(labelled, row):
    check_rest(labelled, row)
