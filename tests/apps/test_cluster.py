"""The files in apps/cluster are well formed, and their commands are valid commands of kbert."""

import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest
import yaml

from kbert.cli.main import main

FOLDER = Path(__file__).parent.parent.parent / "apps" / "cluster"


@pytest.fixture
def parsed(monkeypatch):
    """A function that returns the options of a kbert command, with paths that need not be there."""

    def parse(arguments):
        group = click.Context(main)
        command = main.get_command(group, arguments[0])
        for parameter in command.params:
            if isinstance(parameter.type, click.Path):
                monkeypatch.setattr(parameter, "type", click.STRING)  # other tests have the same command
        return command.make_context(arguments[0], list(arguments[1:]), parent=group).params

    return parse


def documents(name):
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def test_the_job_of_the_training_operator(parsed):
    (job,) = documents("tfjob.yaml")
    assert (job["apiVersion"], job["kind"]) == ("kubeflow.org/v1", "TFJob")
    worker = job["spec"]["tfReplicaSpecs"]["Worker"]
    (container,) = worker["template"]["spec"]["containers"]
    assert container["name"] == "tensorflow"
    program, *arguments = container["command"]
    assert program == "kbert"
    options = parsed(arguments)
    assert (options["strategy"], options["cluster"], options["resume"]) == ("multi-worker", "tf-config", True)
    assert options["batch_size"] % worker["replicas"] == 0


def test_the_indexed_job(parsed):
    *_, job = documents("indexed-job.yaml")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    options = parsed(container["command"][1:])
    assert (options["strategy"], options["cluster"], options["resume"]) == ("multi-worker", "kubernetes", True)
    variables = {variable["name"] for variable in container["env"]}
    assert variables == {"KBERT_POD_LABELS", "KBERT_POD_INDEX"}
    assert container["env"][0]["value"] == f"job-name={job['metadata']['name']}"
    assert container["ports"] == [{"containerPort": 8470}]
    assert job["spec"]["completions"] == job["spec"]["parallelism"]


def test_the_script_for_slurm(parsed):
    path = FOLDER / "pretrain.sbatch"
    subprocess.run(["bash", "-n", path], check=True)
    text = path.read_text().replace("\\\n", " ")
    (command,) = re.findall(r"^srun .*? kbert (.*)$", text, re.MULTILINE)
    options = parsed(shlex.split(command))
    assert (options["strategy"], options["cluster"], options["resume"]) == ("multi-worker", "slurm", True)


def test_the_command_of_the_readme(parsed):
    (command,) = re.findall(r"`kbert launch .*? -- (.*?)`", (FOLDER / "README.md").read_text())
    assert parsed(command.split())["steps"] == 100_000


def test_a_command_that_kbert_has_not(parsed):
    with pytest.raises(click.NoSuchOption):
        parsed(["pretrain", "--corpse", "a"])
