"""Fixtures for tests of the command line."""

import pytest
from click.testing import CliRunner

from kbert.cli.main import main


@pytest.fixture(scope="session")
def run():
    """Runs the program in this process; gives exit code, standard output and standard error."""

    def run(*arguments):
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    return run
