"""The notebooks of the documentation, run from top to bottom in a folder of their own."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
RESULTS = {
    "first_hour.ipynb": ["classifier.predict", "'label': 'return'"],
    "fine_tune_and_serve.ipynb": ["with urllib.request.urlopen(request) as response:", "['music', 'weather']"],
    "phone.ipynb": ["answer = runner(**padded)", "'calendar': 0.9"],
}
"""A part of the source of a cell, and of what it returns."""


def test_all_notebooks_are_tested():
    assert {path.name for path in FOLDER.glob("*.ipynb")} == set(RESULTS)


def test_notebooks_are_stored_without_outputs():
    nbformat = pytest.importorskip("nbformat")
    for path in FOLDER.glob("*.ipynb"):
        book = nbformat.read(path, 4)
        nbformat.validate(book)
        cells = [cell for cell in book.cells if cell.cell_type == "code"]
        assert not any(cell.outputs or cell.execution_count for cell in cells), path


@pytest.mark.slow
@pytest.mark.parametrize("name", RESULTS)
def test_a_notebook_runs_from_top_to_bottom(name, tmp_path):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    book = nbformat.read(FOLDER / name, 4)
    client = nbclient.NotebookClient(book, timeout=900, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    source, expected = RESULTS[name]
    (cell,) = (cell for cell in book.cells if cell.cell_type == "code" and source in cell.source)
    returned = [output["data"]["text/plain"] for output in cell.outputs if output.output_type == "execute_result"]
    assert expected in "".join(returned)
