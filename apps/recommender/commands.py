"""The command line."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

import kbert
from apps.recommender.errors import UsageError

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def _tell(line: str) -> None:
    click.echo(line, err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Recommend items by their texts and by what users liked."""


@main.command()
@click.option("--items", type=_FILE, required=True, help="CSV with a header: id, title, genres (separated by |).")
@click.option("--ratings", type=_FILE, required=True, help="CSV with a header: user, item, rating, timestamp.")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="A new folder.")
@click.option("--like-from", default=4.0, show_default=True, help="The smallest rating that is a like.")
@click.option("--pairs", default=8_000, show_default=True, help="The number of pairs for fine-tuning.")
@click.option("--seed", default=0, show_default=True, help="Determines the split and the pairs.")
def prepare(items: Path, ratings: Path, output: Path, like_from: float, pairs: int, seed: int) -> None:
    """Split ratings by time, and write pairs of items for `kbert finetune embedding`."""
    from apps.recommender.data.folder import prepare_folder

    found = prepare_folder(items, ratings, output, like_from=like_from, pairs=pairs, seed=seed)
    click.echo(f"{output}: " + ", ".join(f"{count:,} {name}" for name, count in found.items()))


@main.command()
@click.argument("data", type=_FOLDER)
@click.option(
    "--model",
    "models",
    multiple=True,
    required=True,
    metavar="MODEL",
    help="A model folder for embedding; can be repeated. The last one is used in the hybrid.",
)
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write an HTML page.")
def evaluate(data: Path, models: Sequence[str], report: Path | None) -> None:
    """Compare the models on the test likes in DATA (made by `prepare`)."""
    from apps.recommender.data.folder import DataFolder
    from apps.recommender.evaluation.comparison import compare
    from apps.recommender.evaluation.report import write_report
    from apps.recommender.evaluation.tables import markdown_tables
    from apps.recommender.models.vectors import item_vectors

    folder = DataFolder(data)
    names = [Path(model).name for model in models]
    if len(set(names)) < len(names):
        raise UsageError(f"expected models with different names. Received: {', '.join(models)}")
    texts = [item.text for item in folder.items]
    vectors = {name: item_vectors(texts, model, data, _tell) for name, model in zip(names, models, strict=True)}
    found = compare(folder, vectors, _tell)
    click.echo(markdown_tables(found))
    if report is not None:
        write_report(report, folder, found)
        _tell(f"the report is {report}")


@main.command()
@click.argument("data", type=_FOLDER)
@click.option("--model", required=True, metavar="MODEL", help="A model folder for embedding.")
@click.option("--user", metavar="ID", help="A user of the ratings.")
@click.option("--likes", multiple=True, metavar="TITLE", help="What a new user likes; can be repeated, oldest first.")
@click.option("--top", default=10, show_default=True, help="The number of items.")
@click.option(
    "--diversity",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="How much it counts that the items differ from each other.",
)
@click.option("--new-items", is_flag=True, help="Only items that nobody has rated, by their texts.")
def recommend(
    data: Path, model: str, user: str | None, likes: Sequence[str], top: int, diversity: float, new_items: bool
) -> None:
    """Print the best items for a user of DATA, or for a new one with some likes."""
    from apps.recommender.data.folder import DataFolder
    from apps.recommender.models.vectors import item_vectors
    from apps.recommender.recommending import Recommender

    if (user is None) == (not likes):
        raise UsageError("expected --user or --likes. Received: " + ("none of them" if user is None else "both"))
    folder = DataFolder(data)
    if user is not None:
        known = folder.user(user)
        history, seen = known.train + known.validation + known.test, set(known.seen)
    else:
        history, seen = [folder.item_of_title(title).id for title in likes], set()
    vectors = item_vectors([item.text for item in folder.items], model, data, _tell)
    recommender = Recommender(folder, vectors)
    for row in recommender.recommend(history, seen, top=top, diversity=diversity, only_new=new_items):
        click.echo(f"{row.score:6.2f}  {row.item.title}  [{', '.join(row.item.genres)}]  {row.reason}")


@contextlib.contextmanager
def _errors_as_lines() -> Iterator[None]:
    try:
        yield
    except kbert.KbertError as error:
        click.echo(f"Error: {' '.join(getattr(error, 'command_line_message', str(error)).split())}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        click.echo(f"Error: {error.strerror or error}{where}", err=True)
        sys.exit(1)


def program() -> None:
    """Runs the program."""
    kbert.prepare_runtime(quiet=True)
    with _errors_as_lines():
        main(prog_name="python -m apps.recommender")
