"""The `kbert` program. Commands are imported when they are called, so that `kbert --help` is fast."""

from __future__ import annotations

import errno
import importlib
import sys
from collections.abc import Mapping
from typing import Any

import click

from kbert.errors import KbertError
from kbert.runtime.huge_pages import restart_with_huge_pages
from kbert.runtime.log_handler import logs_on_stderr
from kbert.runtime.prepare import prepare_runtime
from kbert.version import __version__

_COMMANDS: Mapping[str, tuple[str, str]] = {
    "quickstart": (
        "kbert.cli.quickstart:quickstart",
        "Train, evaluate and serve a tiny BERT model on text that every installation has.",
    ),
    "vocab": ("kbert.cli.vocab:vocab", "Train, inspect, extend or trim a WordPiece vocabulary."),
    "corpus": ("kbert.cli.corpus:corpus", "Build pretraining records from text, and inspect them."),
    "mask-pii": ("kbert.cli.mask_pii:mask_pii", "Replace personal data in files."),
    "pretrain": ("kbert.cli.pretrain:pretrain", "Pretrain a BERT model on a corpus."),
    "launch": ("kbert.cli.launch:launch", "Run pretrain or finetune as several workers on this machine."),
    "finetune": ("kbert.cli.finetune:finetune", "Fine-tune a BERT model for a task."),
    "distill": ("kbert.cli.distill:distill", "Train a small model with the outputs of a fine-tuned one."),
    "prune": ("kbert.cli.prune:prune", "Remove the least important parts of a fine-tuned model."),
    "tune": ("kbert.cli.tune:tune", "Search for the best hyper-parameters for a task."),
    "calibrate": ("kbert.cli.calibrate:calibrate", "Calibrate the probabilities of a fine-tuned model."),
    "audit": ("kbert.cli.audit:audit", "Measure whether a model gives its training rows away."),
    "evaluate": ("kbert.cli.evaluate:evaluate", "Evaluate a model on a file or a corpus."),
    "predict": ("kbert.cli.predict:predict", "Print the predictions of a model for texts."),
    "explain": ("kbert.cli.explain:explain", "Show which words the answers of a model are due to."),
    "fill-mask": ("kbert.cli.fill_mask:fill_mask", "Show which words a pretrained model predicts at [MASK]."),
    "report": ("kbert.cli.report:report", "Write a report about a run, or about several side by side."),
    "index": ("kbert.cli.index:index", "Build an index to search documents by meaning."),
    "search": ("kbert.cli.search:search", "Find documents in an index."),
    "inspect": ("kbert.cli.inspect:inspect", "Show the contents of a model folder."),
    "verify": ("kbert.cli.verify:verify", "Check that the files of a run are those that it wrote."),
    "convert": ("kbert.cli.convert:convert", "Convert a BERT model from or to another format."),
    "adapters": ("kbert.cli.adapters:adapters", "Merge adapters into their base models, or copy them out of runs."),
    "export": ("kbert.cli.export:export", "Write a SavedModel or a LiteRT model."),
    "bench": ("kbert.cli.bench:bench", "Measure the size, the latency and the memory of a LiteRT model."),
    "serve": ("kbert.cli.serve:serve", "Serve SavedModels over TensorFlow Serving's REST and gRPC APIs."),
}

_COMPUTING = (
    "quickstart",
    "pretrain",
    "finetune",
    "distill",
    "prune",
    "tune",
    "calibrate",
    "audit",
    "evaluate",
    "predict",
    "index",
)
"""The commands that compute for long enough that huge pages are worth a restart of the program."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the names of the commands, in the order in which a project uses them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports and returns a command."""
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_, help_) in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command. Errors become one line and an exit code, and log records become lines on standard error."""
        try:
            with logs_on_stderr():
                return super().invoke(ctx)
        except KbertError as error:
            # The messages of option errors spell options as on the command line here, and as keywords in Python.
            _fail(getattr(error, "command_line_message", str(error)), error.exit_code)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # the reader of the output has ended, as in `kbert predict … | head`; Click stays silent
            where = f": {error.filename}" if error.filename else ""
            _fail(f"{error.strerror or error}{where}", 1)
        except KeyboardInterrupt as error:
            _fail(str(error) or "stopped", getattr(error, "exit_code", 130))


def _fail(message: str, exit_code: int) -> None:
    click.echo(f"Error: {' '.join(message.split())}", err=True)
    sys.exit(exit_code)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="kbert")
def main() -> None:
    """BERT for Keras and TensorFlow: from raw text to a served model.

    Start with `kbert quickstart`. Exit codes: 0 success, 1 failure, 2 invalid usage, 130 and 143 stopped by a signal.
    """


def program() -> None:
    """Runs the `kbert` program: its entry point."""
    prepare_runtime(quiet=True)
    if len(sys.argv) > 1 and sys.argv[1] in _COMPUTING:
        restart_with_huge_pages()
    main()
