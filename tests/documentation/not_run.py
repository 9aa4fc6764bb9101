"""The code of the pages that the tests of the documentation cannot run, each with its reason.

Tests check that each entry is needed: a program, an option or a block that is no longer in the pages, or that a test
could run, must be removed here.
"""

import dataclasses

from documentation.blocks import REPOSITORY


@dataclasses.dataclass(frozen=True)
class NotRun:
    """A command, or a block in Python, that is not run.

    `start` is the beginning of the command's words, or of the block's code. `tested` is the test that runs it instead,
    relative to tests/, if there is one.
    """

    page: str
    start: str
    reason: str
    tested: str = ""

    def __post_init__(self):
        assert len(self.reason) > 20, self
        assert not self.tested or (REPOSITORY / "tests" / self.tested).is_file(), self

    def fits(self, page, code):
        """Returns whether the entry is about a command or a block of a page."""
        return page == self.page and code.startswith(self.start)


FOREIGN_PROGRAMS = {
    ".": "activates the virtual environment of a shell",
    ".ci/package": "makes virtual environments and installs packages from a network; CI runs it",
    "./gradlew": "needs Gradle, and its libraries from a network; tests/apps/test_android.py compiles the logic",
    "cd": "changes the folder of a shell",
    "cp": "copies a file into the folder of an app that only Android Studio or Xcode builds",
    "docker": "needs a Docker daemon; the tests of each image check its command and its files",
    "gradle": "needs Gradle, and its libraries from a network; tests/apps/test_android.py compiles the logic",
    "helm": "needs a cluster of Kubernetes and Helm",
    "kubectl": "needs a cluster of Kubernetes; tests/apps/test_kubernetes.py checks the manifests",
    "open": "opens Xcode, which only a Mac has",
    "pytest": "would run all tests within a test",
    "python -m venv": "makes the virtual environment of a developer",
    "sed": "edits models.config; tests/apps/test_kubernetes.py runs this command",
    "swift": "needs a Swift toolchain; tests/apps/test_ios.py runs it where there is one",
    "xcodebuild": "needs Xcode, which only a Mac has",
    "xcodegen": "makes a project for Xcode, which only a Mac has",
}
"""Programs other than kbert, Python, pip, tox and curl: what they do is not checked."""

FOREIGN_OPTIONS = {
    ("ARCHITECTURE.md", "--options"): "stands for any option of a command",
    ("apps/android/README.md", "--no-install-recommends"): "an option of apt-get, not of kbert",
    ("apps/cluster/README.md", "--requeue"): "an option of Slurm's sbatch, not of kbert",
    ("apps/customer_service/README.md", "--build-arg"): "an option of docker build, not of kbert",
    ("apps/customer_service/README.md", "--no-deps"): "an option of pip, not of kbert",
    ("apps/serve/README.md", "--build-arg"): "an option of docker build, not of kbert",
    ("apps/serve/README.md", "--time"): "an option of docker stop, not of kbert",
    ("apps/tf_serving/README.md", "--prefer_tflite_model"): "a flag of TensorFlow Serving that kbert serve has not",
    ("docs/command-line.md", "--logdir"): "an option of TensorBoard, not of kbert",
    ("docs/migration/google-bert.md", "--train_file"): "an option of the code of google-research/bert",
    ("docs/migration/google-bert.md", "--predict_file"): "an option of the code of google-research/bert",
    ("docs/pretraining.md", "--logdir"): "an option of TensorBoard, not of kbert",
    ("docs/serving.md", "--prefer_tflite_model"): "a flag of TensorFlow Serving that kbert serve has not",
}
"""Options in sentences that are not kbert's, by page and option."""

NOT_REGISTERED = (
    NotRun(
        "docs/adding-a-format.md",
        "kbert convert RUN archive --to numpy",
        "the format exists once the package of the page is installed",
        "conversion/test_formats.py",
    ),
    NotRun(
        "docs/adding-a-format.md",
        "kbert convert archive back --from numpy",
        "the format exists once the package of the page is installed",
        "conversion/test_formats.py",
    ),
    NotRun(
        "docs/adding-a-task.md",
        "kbert finetune stars",
        "the task exists once the package of the page is installed",
        "tasks/test_added_task.py",
    ),
)
"""Commands with a format or a task that only another package adds."""

_BEAM = "needs Apache Beam, which needs an environment of its own"
_CLUSTER = "needs a cluster that runs pipelines of Apache Beam"
_HUB = "reads a data set of the Hugging Face Hub, which needs a network"
_PACKAGE = "is a part of the package that the page describes"
NOT_RUN = (
    *NOT_REGISTERED,
    NotRun("README.md", "kbert quickstart", "pretrains and fine-tunes models for minutes", "quickstart/test_run.py"),
    NotRun(
        "docs/adapters.md",
        "import adapters",
        "needs AdapterHub's package adapters, which needs an older version of transformers",
        "peers/test_adapter_hub.py",
    ),
    NotRun("docs/adding-a-format.md", '"""BERT as NumPy archives', _PACKAGE, "conversion/test_formats.py"),
    NotRun("docs/adding-a-format.md", "kbert convert archive back", _PACKAGE, "conversion/test_formats.py"),
    NotRun("docs/adding-a-task.md", "from kbert.tasks.options", _PACKAGE, "tasks/test_added_task.py"),
    NotRun("docs/adding-a-task.md", "import numpy as np", _PACKAGE, "tasks/test_added_task.py"),
    NotRun("docs/adding-a-task.md", "kbert predict stars", _PACKAGE, "tasks/test_added_task.py"),
    NotRun("docs/adding-a-task.md", "kbert export saved-model stars", _PACKAGE, "tasks/test_added_task.py"),
    NotRun("docs/benchmarks.md", "python benchmarks/", "measures for minutes, on real data sets"),
    NotRun(
        "docs/corpus.md",
        "kbert corpus build wiki/ --vocab vocab.txt --output corpus --runner DirectRunner",
        _BEAM,
        "corpus/building/test_beam.py",
    ),
    NotRun("docs/corpus.md", "kbert corpus build /mnt/share/wiki", _CLUSTER),
    NotRun(
        "docs/pretraining.md",
        "kbert launch",
        "starts several processes with models of real size",
        "training/devices/test_launch.py",
    ),
    NotRun("docs/tasks.md", "kbert index build vectors --input hf-datasets:", _HUB),
    NotRun("docs/tasks.md", "kbert search index --queries hf-datasets:", _HUB),
    NotRun("docs/tasks.md", "kbert predict MODEL --input texts.tsv", _CLUSTER),
)
"""Code of the site that is not run, beside the programs above."""
