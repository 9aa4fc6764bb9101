import logging
import os

import pytest

from kbert.runtime.held_output import held_stderr, no_log_warnings, quiet_logger


def test_standard_error_is_held_back_unless_the_block_raises(capfd):
    with held_stderr():
        os.write(2, b"of a library\n")
    assert capfd.readouterr().err == ""
    with pytest.raises(TypeError), held_stderr():
        os.write(2, b"the reason\n") + None
    assert capfd.readouterr().err == "the reason\n"


def test_loggers_are_as_before():
    logger = logging.getLogger("some.library")
    logger.setLevel(logging.DEBUG)
    with quiet_logger("some.library"):
        assert not logger.isEnabledFor(logging.WARNING)
        assert logger.isEnabledFor(logging.ERROR)
    assert logger.level == logging.DEBUG
    logging.disable(logging.INFO)
    try:
        with no_log_warnings():
            assert not logger.isEnabledFor(logging.WARNING)
        assert logging.root.manager.disable == logging.INFO
    finally:
        logging.disable(logging.NOTSET)
