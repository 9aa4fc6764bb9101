"""The command `kbert predict`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from kbert.cli import options
from kbert.errors import DataError, UsageError
from kbert.runtime.tensorflow import import_tensorflow
from kbert.tasks.catalogue import all_columns


@click.command(cls=options.SectionedCommand)
@options.RUN
@click.argument("texts", nargs=-1, metavar="[TEXT...]")
@options.data_file(
    "--input",
    "A file with one text per line, a .csv, .tsv or .jsonl file, or a file in a format of the task.",
    required=False,
)
@click.option(
    "--pair",
    "pairs",
    multiple=True,
    help="The second text of each TEXT, in order, such as the context of a question. For multiple choice, all --pair "
    "options are the choices of a single TEXT.",
)
@options.columns([column for column in all_columns().values() if not column.target], defaults=False)
@options.reading(labelled=False)
@click.option(
    "--batch-size",
    default=64,
    show_default=True,
    type=click.IntRange(1),
    help="The number of texts that are processed together.",
)
@click.option("--features", is_flag=True, help="Write vectors of the encoder to --output instead of predictions.")
@options.output("The .npy or .safetensors file for --features.", dir_okay=False, required=False)
@click.option(
    "--layers",
    default="-1",
    show_default=True,
    help="The layers for --features, such as -1 or 1,2 or last4. The vectors of several layers are concatenated.",
)
@options.pooling("none", note=" With --features the default is mean, and none writes the vectors of all tokens.")
@options.model_use(pooling_option=False)
@click.option(
    "--keep-column",
    "keep",
    cls=options.DeclaredOption,
    section=options.COLUMNS_SECTION,
    multiple=True,
    metavar="NAME",
    help="A column of --input that is copied to the predictions, such as an id. The option can be repeated.",
)
@click.option(
    "--output-format",
    type=click.Choice(["text", "json", "conll", "squad"]),
    help="text or json: a line for each prediction; conll: the format of CoNLL, for tagging; squad: the answers by the "
    "ids of the questions, as the scripts of SQuAD read them.  [default: text]",
)
@options.JSON
def predict(
    run: str,
    texts: tuple[str, ...],
    input: str | None,
    pairs: tuple[str, ...],
    batch_size: int,
    features: bool,
    output: str | None,
    layers: str,
    pooling: str | None,
    keep: tuple[str, ...],
    output_format: str | None,
    as_json: bool,
    **reading: Any,
) -> None:
    """Print the predictions of the model RUN for the TEXTs, or for the texts of a file.

    For summarization, the TEXTs are the sentences of one document. For tagging, a TEXT may be a JSON list of words,
    such as '["Ada", "left"]'; each word then has one tag. Tables are read like the training file of RUN, with the same
    columns, delimiter, encoding and so on, unless options override these.
    """
    if bool(texts) == bool(input):
        raise UsageError(
            f"expected TEXTs, or --input FILE. Received: {'both' if texts else 'neither'}; give one of the two"
        )
    if features != bool(output):
        raise UsageError(
            f"expected --features and --output together. Received: {'--features' if features else '--output'} alone; "
            "add the other, or leave both out"
        )
    import_tensorflow()
    if output:
        if any(reading[name] is not None for name in ("task", "prompt", "prompt_name")):
            raise UsageError(
                "expected --features without --task and prompts, because it writes plain vectors of the encoder. "
                "Received: both; leave out --task, --prompt and --prompt-name"
            )
        found = list(texts) or _lines(run, input or "", reading)
        _write_features(run, found, output, layers, pooling or "mean", batch_size)
        return
    if keep and not input:
        raise UsageError(f"--keep-column names columns of --input FILE. Received: {', '.join(keep)}")
    if as_json and output_format not in (None, "json"):
        raise UsageError(
            "--json and --output-format contradict each other; leave one out. Received: "
            f"--output-format {output_format}"
        )
    if pooling == "none":
        raise UsageError("expected --pooling none with --features only. Received: no --features; add it, or pool")
    from kbert.prediction.loading import load

    use = options.chosen_use(reading, paired=bool(pairs or reading["pair_column"]))
    model = load(run, **use | {"pooling": pooling})
    predictions: Iterable[dict[str, Any]]
    if input:
        predictions = model.predict_file(
            input,
            options.chosen_columns(reading),
            options=options.chosen_reading(reading),
            batch_size=batch_size,
            keep=keep,
        )
    else:
        predictions = model.predict(*_given(model, texts, pairs), batch_size=batch_size)
    _print(predictions, model.task, output_format or ("json" if as_json else "text"), keep)


def _given(model: Any, texts: tuple[str, ...], pairs: tuple[str, ...]) -> list[Any]:
    """Returns the arguments as columns of texts for `Predictor.predict`."""
    several = model.task.text_inputs[-1].is_list
    if not pairs:
        words = [found for text in texts if (found := _words(text)) is not None]
        if words and model.task.examples_of_words(words) is not None:
            if len(words) < len(texts):
                raise UsageError(
                    "expected either texts, or JSON lists of words, for all TEXTs. Received: "
                    f"{len(words)} lists among {len(texts)} TEXTs"
                )
            return [words]
        return [[list(texts)]] if several and len(model.task.text_inputs) == 1 else [list(texts)]
    if several and len(texts) > 1:
        raise UsageError(f"--pair gives the choices of one TEXT; put several in a file. Received: {len(texts)}")
    return [list(texts), [list(pairs)] if several else list(pairs)]


def _words(text: str) -> list[str] | None:
    """Returns the words of a TEXT that is a JSON list of words; None for other texts."""
    if not text.lstrip().startswith("["):
        return None
    try:
        words = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return words if words and all(isinstance(word, str) for word in words) else None


def _print(predictions: Iterable[dict[str, Any]], task: Any, output_format: str, keep: Sequence[str]) -> None:
    if output_format == "squad":
        from kbert.prediction.formats import squad_answers

        options.print_json(squad_answers(predictions))
        return
    for prediction in predictions:
        if output_format == "json":
            options.print_json(prediction)
        elif output_format == "conll":
            from kbert.prediction.formats import conll_lines

            click.echo("\n".join(conll_lines(prediction)))
        else:
            click.echo("\t".join([*(str(prediction[name]) for name in keep), task.text_line(prediction)]))


def _lines(run: str, path: str, reading: Mapping[str, Any]) -> list[str]:
    """Returns the texts of a file: its lines, or a column of a table that is read like the training file of `run`."""
    from kbert.prediction.input_files import resembles_table
    from kbert.prediction.loading import remembered_reading
    from kbert.sources.table_format import TableFormat
    from kbert.tasks.readers.tables import read_table

    chosen = remembered_reading(run).overruled(options.chosen_columns(reading), options.chosen_reading(reading))
    form = TableFormat.from_options(chosen.options)
    columns = {"text": chosen.columns.get("text") or "text"}
    if reading["delimiter"] is not None or resembles_table(path, columns, form):
        found = [str(row.values["text"]) for row in read_table(path, columns, form=form)]
    else:
        found = list(form.lines(path))
    if not found:
        raise DataError("expected texts. Received: an empty file; name a file with a text on each line", path)
    return found


def _write_features(run: str, texts: list[str], output: str, layers: str, pooling: str, batch_size: int) -> None:
    from kbert.prediction import feature_vectors

    feature_vectors.check_features_file(output, pooling)
    try:
        chosen = feature_vectors.LAST_FOUR if layers == "last4" else [int(layer) for layer in layers.split(",")]
    except ValueError:
        raise UsageError(f"--layers must be numbers with commas between them, or last4. Received: {layers}") from None
    vectors = feature_vectors.extract_features(run, texts, layers=chosen, pooling=pooling, batch_size=batch_size)
    feature_vectors.save_features(output, vectors)
    click.echo(f"vectors of {len(texts):,} texts: {output}", err=True)
