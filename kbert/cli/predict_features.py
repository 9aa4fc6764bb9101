"""The option --features of `kbert predict`, which writes vectors of the encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from kbert.cli import options
from kbert.errors import DataError, UsageError
from kbert.options import option_infos
from kbert.prediction.options import DecodingOptions, EngineOptions, ExtractFeaturesOptions
from kbert.runtime.tensorflow import import_tensorflow
from kbert.tasks.task_info import split_columns

FEATURES = option_infos(ExtractFeaturesOptions)
ONLY_FEATURES = ("layers", "sequence_length")
"""The options that only --features has."""


def features_options(settings: Mapping[str, Any], batch_size: int) -> ExtractFeaturesOptions:
    """Returns the options of the vectors.

    Args:
        settings: The options of the command.
        batch_size: The number of texts that are processed together.

    Raises:
        UsageError: An option is for predictions only.
    """
    if any(settings[name] is not None for name in ("task", "prompt", "prompt_name", "abstain_below")):
        raise UsageError(
            "expected --features without --task, prompts and --abstain-below, because it writes plain vectors of "
            "the encoder. Received: both; leave out --task, --prompt, --prompt-name and --abstain-below"
        )
    written = [f"--{name.replace('_', '-')}" for name in option_infos(DecodingOptions) if settings[name] is not None]
    if written:
        raise UsageError(
            f"expected --features without options for generated texts. Received: {', '.join(written)}; leave it out"
        )
    if any(settings[name] != info.default for name, info in option_infos(EngineOptions).items()):
        raise UsageError("--features are always computed with --engine tensorflow; leave --engine and --quantize out")
    return ExtractFeaturesOptions(
        pooling=settings["pooling"] or FEATURES["pooling"].default,
        batch_size=batch_size,
        **{name: settings[name] for name in ONLY_FEATURES},
    )


def write_features(
    model: str,
    texts: tuple[str, ...],
    input: str | None,
    output: str,
    settings: Mapping[str, Any],
    chosen: ExtractFeaturesOptions,
) -> None:
    """Writes the vectors of the TEXTs, or of the texts of a file.

    Args:
        model: The model folder.
        texts: The TEXTs; none if there is a file.
        input: The file; None if there are TEXTs.
        output: The file of vectors.
        settings: The options of the command, which describe the file.
        chosen: The options of the vectors.
    """
    import_tensorflow()
    from kbert.prediction import feature_vectors

    found = list(texts) or _lines(model, input or "", settings)
    feature_vectors.check_features_file(output, chosen.pooling)
    feature_vectors.save_features(output, feature_vectors.extract_features(model, found, options=chosen))
    click.echo(f"vectors of {len(found):,} texts: {output}", err=True)


def _lines(model: str, path: str, settings: Mapping[str, Any]) -> list[str]:
    """Returns the texts of a file: its lines, or a column of a table that is read like the training file of `model`."""
    from kbert.prediction.input_files import check_no_text_column, resembles_table
    from kbert.prediction.loading import remembered_reading
    from kbert.sources.table_format import TableFormat
    from kbert.tasks.readers.tables import read_table

    named, given = split_columns(options.chosen_reading(settings))
    chosen = remembered_reading(model).overruled(named, given)
    form = TableFormat.from_options(chosen.options)
    columns = {"text": chosen.columns.get("text") or "text"}
    if given.get("delimiter") is not None or resembles_table(path, columns, form):
        found = [str(row.values["text"]) for row in read_table(path, columns, form=form)]
    else:
        check_no_text_column(path, options.chosen_reading(settings))
        found = list(form.lines(path))
    if not found:
        raise DataError("expected texts. Received: an empty file; name a file with a text on each line", path)
    return found
