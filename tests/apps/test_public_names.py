"""The apps use the public names of kbert alone, and libraries that kbert needs itself; examples in docstrings run."""

import ast
import doctest
import importlib
import importlib.util
import re
import sys
from pathlib import Path

import pytest

import kbert

REPOSITORY = Path(__file__).parents[2]
if importlib.util.find_spec("apps") is None:
    # At the end, so that an installed kbert is tested where there is one.
    sys.path.append(str(REPOSITORY))

APPS = ["recommender", "sentiment_monitor"]
REQUIRED = {"click", "jinja2", "numpy", "scipy", "sklearn", "starlette", "uvicorn"}


def modules(app):
    return sorted((REPOSITORY / "apps" / app).rglob("*.py"))


def imported(node):
    if isinstance(node, ast.Import):
        return [name.name for name in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) else []


@pytest.mark.parametrize("app", APPS)
def test_imports(app):
    for path in modules(app):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "kbert":
                assert node.attr in kbert.__all__, f"{path}:{node.lineno}"
            for module in imported(node):
                own = module == "kbert" or module.startswith(f"apps.{app}.")
                top = module.partition(".")[0]
                assert own or top in REQUIRED or top in sys.stdlib_module_names, f"{path}:{node.lineno} {module}"


@pytest.mark.parametrize("app", APPS)
def test_modules_are_small(app):
    for path in modules(app):
        assert len(path.read_text(encoding="utf-8").splitlines()) < 300, path.name


@pytest.mark.parametrize("app", APPS)
def test_examples_in_docstrings_run(app):
    tried = 0
    for path in modules(app):
        if re.search(r"^ *>>> ", path.read_text(encoding="utf-8"), re.MULTILINE):
            name = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
            result = doctest.testmod(importlib.import_module(name))
            assert result.failed == 0, name
            tried += result.attempted
    assert tried >= 2
