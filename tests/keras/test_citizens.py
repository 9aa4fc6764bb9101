"""Every public layer and model behaves as Keras expects; tests/peers/test_jax.py runs the same checks on JAX."""

import importlib
import pkgutil

import citizens
import keras
import pytest

import kbert.layers
import kbert.models


@pytest.mark.parametrize("check", citizens.CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize("case", citizens.CASES, ids=lambda case: case.name)
def test_every_class(case, check):
    check(case)


def test_the_table_has_every_class():
    bases = {"BertLayer", "HeadModel"}
    found = set()
    for package in (kbert.layers, kbert.models):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for value in vars(importlib.import_module(module.name)).values():
                if isinstance(value, type) and issubclass(value, keras.layers.Layer) and "kbert." in value.__module__:
                    found.add(value.__name__)
    assert found - bases == {case.kind.__name__ for case in citizens.CASES}
