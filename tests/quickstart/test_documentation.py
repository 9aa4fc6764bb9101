from kbert.quickstart import documentation
from kbert.quickstart.run import make_splits


def test_docstrings_come_from_source_without_imports(tmp_path, monkeypatch):
    (tmp_path / "package" / "tests").mkdir(parents=True)
    (tmp_path / "package" / "module.py").write_text(
        '"""A module that says enough to be read by a model.\n\nIts second\nparagraph."""\n'
        "raise RuntimeError('imported')\n"
        "def function():\n"
        '    """Too short."""\n'
    )
    (tmp_path / "package" / "copy.py").write_text(
        '"""A module that says enough to be read by a model.\n\nIts second paragraph."""\n'
    )
    (tmp_path / "package" / "broken.py").write_text("def (\n")
    (tmp_path / "package" / "tests" / "module.py").write_text('"""' + "A test module is left out. " * 3 + '"""')
    monkeypatch.setattr(documentation, "_roots", lambda: [("python", tmp_path / "package")])
    assert documentation.read_documentation() == [
        ("python", "copy.py", "A module that says enough to be read by a model.\nIts second paragraph.")
    ]


def test_no_module_and_no_text_is_on_two_sides():
    docstrings = [
        documentation.Docstring(library, f"module_{index % 40}.py", f"What number {index} of {library} says is this.")
        for library in ("keras", "numpy")
        for index in range(200)
    ]
    docstrings.append(
        documentation.Docstring("keras", "module_0.py", "The same summary in two libraries, word for word.")
    )
    docstrings.append(
        documentation.Docstring("numpy", "module_9.py", "The same summary in two libraries, word for word.")
    )
    splits = make_splits(docstrings)
    modules = {docstring.text: (docstring.library, docstring.module) for docstring in docstrings}
    sides = [{modules[text] for text, _ in split.rows} for split in splits]
    assert [split.name for split in splits] == ["train", "validation", "test"]
    assert all(sides)
    assert not (sides[0] & sides[1] | sides[0] & sides[2] | sides[1] & sides[2])
    assert sum(len(split.rows) for split in splits) == 400
    assert make_splits(docstrings[::-1]) == splits
