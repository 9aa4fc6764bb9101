"""The command `kbert predict`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from kbert.cli import options
from kbert.cli.given_texts import given_texts
from kbert.cli.predict_features import FEATURES, ONLY_FEATURES, features_options, write_features
from kbert.cli.runner_options import RunnerCommand, runner_options
from kbert.errors import UsageError
from kbert.options import option_infos
from kbert.prediction.options import (
    EngineOptions,
    PredictOptions,
    PredictToFileOptions,
    PromptedOptions,
)
from kbert.runtime.progress_bar import progress_bar
from kbert.runtime.tensorflow import import_tensorflow
from kbert.tasks.catalogue import all_columns

_FILE = option_infos(PredictToFileOptions)
_SQUAD = "squad"
_INFOS = {
    **option_infos(PromptedOptions),
    **option_infos(EngineOptions),
    **option_infos(PredictOptions),
    **{name: _FILE[name] for name in ("resume", "runner", "runner_options")},
    **{name: FEATURES[name] for name in ONLY_FEATURES},
}
# The poolings of --features, which has a default, and of a model whose files do not define one.
_INFOS["pooling"] = dataclasses.replace(
    _INFOS["pooling"],
    help=f"{_INFOS['pooling'].help} With --features the default is {FEATURES['pooling'].default}, and none gives the "
    "vectors of all tokens.",
    choices=FEATURES["pooling"].choices,
)
_INFOS["output"] = dataclasses.replace(
    _FILE["output"],
    help=f"{_FILE['output'].help} Without it, predictions are printed. With --features: a .npy or .safetensors file.",
    default=None,
)
_INFOS["output_format"] = dataclasses.replace(
    _FILE["output_format"],
    help=f"{_FILE['output_format'].help} squad prints the answers by the ids of the questions, as the scripts of SQuAD "
    "read them.",
    choices=(*_FILE["output_format"].choices, _SQUAD),
    default=None,
    default_help=_FILE["output_format"].default,
)


@click.command(cls=RunnerCommand)
@options.MODEL
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
@click.option("--features", is_flag=True, help="Write vectors of the encoder to --output instead of predictions.")
@options.declared(_INFOS)
@options.JSON
def predict(
    model: str,
    texts: tuple[str, ...],
    input: str | None,
    pairs: tuple[str, ...],
    features: bool,
    output: str | None,
    output_format: str | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Print the predictions of MODEL for the TEXTs, or for the texts of a file.

    For summarization, the TEXTs are the sentences of one document. For tagging, a TEXT may be a JSON list of words,
    such as '["Ada", "left"]'; each word then has one tag. For relations, a TEXT has marks: <e1>…</e1> around the head
    and <e2>…</e2> around the tail. Tables are read like the training file of MODEL, with the same columns, delimiter,
    encoding and so on, unless options override these.

    With --runner, options for Apache Beam follow after --, for example: kbert predict MODEL --input texts.tsv --output
    answers.jsonl --runner FlinkRunner -- --flink_master=host:8081 --parallelism=32
    """
    _check_places(texts, input, output, features=features, settings=settings)
    _refuse_unused(texts, pairs, output_format, features=features, settings=settings)
    how = PredictOptions(batch_size=settings["batch_size"], keep_columns=settings["keep_columns"])
    if features:
        chosen = features_options(settings, how.batch_size)
        write_features(model, texts, input, str(output), settings, chosen)
        return
    if how.keep_columns and not input:
        raise UsageError(f"--keep-column names columns of --input FILE. Received: {', '.join(how.keep_columns)}")
    chosen_format = _chosen_format(output_format, output, as_json=as_json)
    if settings["pooling"] == "none":
        raise UsageError("expected --pooling none with --features only. Received: no --features; add it, or pool")
    use = options.loading(settings, paired=bool(pairs or settings["pair_column"]))
    if output:
        to_file = PredictToFileOptions(
            output=output,
            output_format=chosen_format,
            resume=settings["resume"],
            runner=settings["runner"],
            runner_options=runner_options(),
            **vars(use),
            **vars(how),
        )
        _write_predictions(model, str(input), to_file, options.chosen_reading(settings))
        return
    import_tensorflow()
    from kbert.prediction.loading import load
    from kbert.prediction.unknown_texts import UnknownTexts

    loaded = load(model, options=use)
    predictions: Iterable[Mapping[str, Any]]
    if input:
        predictions = loaded.predict_file(input, options=how, **options.chosen_reading(settings))
    else:
        predictions = loaded.predict(*given_texts(loaded, texts, pairs), options=how)
    _print(loaded, UnknownTexts(loaded).watch(predictions), chosen_format, how.keep_columns)


def _check_places(
    texts: tuple[str, ...], input: str | None, output: str | None, *, features: bool, settings: Mapping[str, Any]
) -> None:
    """Checks that the command says where texts come from, and where results go to.

    Raises:
        UsageError: Texts or an output file are missing or contradict other options.
    """
    if bool(texts) == bool(input):
        raise UsageError(
            f"expected TEXTs, or --input FILE. Received: {'both' if texts else 'neither'}; give one of the two"
        )
    if features and not output:
        raise UsageError("--features needs --output FILE, which must end in .npy or .safetensors")
    if output and not (features or input):
        raise UsageError("--output is for --input FILE or for --features. Received: TEXTs; leave --output out")
    if settings["resume"] and (features or not output):
        raise UsageError("--resume continues a command with --input and --output. Received: no such command")
    if settings["runner"] and (features or not output):
        raise UsageError("--runner is for --input FILE and --output FILE. Received: another command; leave it out")


def _refuse_unused(
    texts: tuple[str, ...],
    pairs: tuple[str, ...],
    output_format: str | None,
    *,
    features: bool,
    settings: Mapping[str, Any],
) -> None:
    """Checks that no option is given that this form of the command does not use.

    Raises:
        UsageError: There is such an option.
    """
    given = options.given(click.get_current_context(), settings)
    if pairs and features:
        raise UsageError("--features are vectors of single texts. Received: --pair, too; leave it out")
    if pairs and not texts:
        raise UsageError("--pair is for TEXTs. Received: --input FILE; name the column with --pair-column instead")
    described = " ".join(options.spellings(options.chosen_reading(given)))
    if texts and described:
        raise UsageError(f"expected --input FILE beside {described}. Received: TEXTs; leave {described} out")
    of_predictions = [*options.spellings(given, ["keep_columns"]), *["--output-format"] * (output_format is not None)]
    if features and of_predictions:
        unused = " ".join(of_predictions)
        raise UsageError(f"expected --features without {unused}. Received: both; leave {unused} out")
    of_features = " ".join(options.spellings(given, ONLY_FEATURES))
    if of_features and not features:
        raise UsageError(
            f"expected --features beside {of_features}. Received: no --features; add it, or leave {of_features} out"
        )


def _chosen_format(output_format: str | None, output: str | None, *, as_json: bool) -> str:
    """Returns the format of the predictions.

    Raises:
        UsageError: The options contradict each other.
    """
    if as_json and output_format not in (None, "json"):
        raise UsageError(
            "--json and --output-format contradict each other; leave one out. Received: "
            f"--output-format {output_format}"
        )
    chosen = output_format or ("json" if as_json else _FILE["output_format"].default)
    if output and chosen == _SQUAD:
        raise UsageError("--output-format squad is only printed. Received: --output, too; leave it out")
    return chosen


def _print(loaded: Any, predictions: Iterable[Mapping[str, Any]], output_format: str, keep: Sequence[str]) -> None:
    if output_format == _SQUAD:
        from kbert.prediction.formats import squad_answers

        options.print_json(squad_answers(predictions))
        return
    from kbert.prediction.prediction_text import prediction_line

    for prediction in predictions:
        click.echo(prediction_line(loaded, prediction, output_format, keep))


def _write_predictions(model: str, input: str, chosen: PredictToFileOptions, reading: Mapping[str, Any]) -> None:
    import_tensorflow()
    from kbert.prediction.prediction_file import predict_to_file

    with progress_bar("predicting", "items", transient=True) as update:
        count = predict_to_file(model, input, options=chosen, progress=update, **reading)
    click.echo(f"{count:,} predictions: {chosen.output}", err=True)
