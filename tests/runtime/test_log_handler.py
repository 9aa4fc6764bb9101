import logging

from kbert.runtime.log_handler import logs_on_stderr


def test_records_are_lines_on_standard_error(capsys):
    logger = logging.getLogger("kbert.something")
    with logs_on_stderr():
        logger.debug("not shown")
        logger.info("%s: read as %s", "a.csv", "text sentence")
        logger.warning("two\nlines")
        logger.error("bad")
    logger.warning("after the command")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "a.csv: read as text sentence\nWarning: two lines\nError: bad\n")


def test_the_logger_is_as_before():
    logger = logging.getLogger("kbert")
    before = (logger.level, logger.propagate, list(logger.handlers))
    with logs_on_stderr():
        assert logger.isEnabledFor(logging.INFO)
    assert (logger.level, logger.propagate, list(logger.handlers)) == before
