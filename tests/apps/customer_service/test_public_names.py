"""The app uses the public names of kbert alone, and libraries that kbert needs itself."""

import ast
import re
import sys
from pathlib import Path

import apps.customer_service
import kbert

FOLDER = Path(apps.customer_service.__file__).parent
REQUIRED = {"anyio", "click", "numpy", "rich", "sklearn", "starlette", "uvicorn"}


def test_imports():
    for path in sorted(FOLDER.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                modules = [name.name for name in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module]
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "kbert":
                assert node.attr in kbert.__all__, f"{path}:{node.lineno}"
                continue
            else:
                continue
            for module in modules:
                top = module.partition(".")[0]
                allowed = module == "kbert" or module.startswith("apps.customer_service")
                assert allowed or top in REQUIRED or top in sys.stdlib_module_names, f"{path}:{node.lineno} {module}"


def test_modules_are_small():
    for path in FOLDER.glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) < 400, path.name


def test_examples_in_docstrings_run():
    import doctest
    import importlib

    tried = 0
    for path in sorted(FOLDER.glob("*.py")):
        if path.stem != "__main__" and re.search(r"^ *>>> ", path.read_text(encoding="utf-8"), re.MULTILINE):
            result = doctest.testmod(importlib.import_module(f"apps.customer_service.{path.stem}"))
            assert result.failed == 0, path.name
            tried += result.attempted
    assert tried > 20
