"""The files beside the code that a release needs."""

from pathlib import Path

import yaml

import kbert

REPOSITORY = Path(__file__).parents[1]


def test_the_citation_has_the_version_of_the_package():
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == kbert.__version__
    assert citation["license"] == "Apache-2.0"


def test_the_workflow_runs_programs_of_the_repository():
    workflow = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    assert [step for step in steps if step] == [".ci/run", "pip install tox && tox -e docs", ".ci/package"]
    for program in (".ci/run", ".ci/package"):
        assert (REPOSITORY / program).stat().st_mode & 0o100
    assert "\n[testenv:docs]\n" in (REPOSITORY / "tox.ini").read_text(encoding="utf-8")
