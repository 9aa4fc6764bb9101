"""The report of a corpus."""

from __future__ import annotations

from collections.abc import Sequence

from kbert.corpus.reading.statistics import LABELS, CorpusStatistics, MaskedExample, words_with_marks
from kbert.report.charts import bar_chart
from kbert.report.page import Html, element, escape, join, note, page, percent, section, table
from kbert.version import __version__

_BARS = 64
_MOST_USED = 100
_NEVER_USED = 500


def corpus_report(name: str, statistics: CorpusStatistics, examples: Sequence[MaskedExample], *, seed: int) -> str:
    """Makes a page about a corpus: lengths, fill rate, balance of labels, masks, use of the vocabulary, examples.

    Args:
        name: The name of the corpus, for the title.
        statistics: The statistics of the corpus.
        examples: Examples to show with their masks.
        seed: The seed that the masks were drawn with.

    Returns:
        The page as HTML, which needs no other file.
    """
    return page(
        f"Corpus {name}",
        section("At a glance", _glance(statistics)),
        section("Lengths", *_lengths(statistics)),
        section("Masks", _masks(statistics, seed)),
        section("Vocabulary", *_vocabulary(statistics)),
        section(
            "Examples",
            note("Marked pieces are predicted; the small word is the original."),
            *map(_example, examples),
        )
        if examples
        else "",
        footer=f"kbert {__version__}",
    )


def _glance(statistics: CorpusStatistics) -> Html:
    facts = statistics.facts()
    read = statistics.examples
    label = LABELS.get(statistics.objective)
    return table(
        [
            ("Examples", read if read == statistics.total else f"{read:,} read of {statistics.total:,}"),
            ("Longest example", statistics.sequence_length),
            ("Mean length", facts["mean_length"]),
            ("Tokens", facts["tokens"]),
            (
                "Fill rate" if statistics.packed_to is None else f"Fill rate, packed to {statistics.packed_to}",
                percent(facts["fill_rate"]),
            ),
            *([(label.title.capitalize(), percent(facts[label.fact]))] if label else []),
            ("Masked", percent(facts["masked"])),
            ("[UNK]", percent(facts["unknown"], 3)),
            ("Vocabulary entries never used", f"{facts['never_used']:,} of {facts['vocabulary']:,}"),
        ]
    )


def _lengths(statistics: CorpusStatistics) -> list[Html]:
    size = -(-statistics.sequence_length // _BARS)
    starts = range(1, statistics.sequence_length + 1, size)
    labels = [str(start) if size == 1 else f"{start}–{start + size - 1}" for start in starts]
    counts = [int(statistics.lengths[start : start + size].sum()) for start in starts]
    return [
        bar_chart(labels, counts, title="Histogram of the lengths of examples", x_label="tokens"),
        note(
            "Examples by their number of tokens, [CLS] and [SEP] included; "
            f"{percent(statistics.fill_rate)} of all places{' of packed rows' if statistics.packed_to else ''} hold a "
            "token."
        ),
    ]


def _masks(statistics: CorpusStatistics, seed: int) -> Html:
    facts = statistics.facts()
    total = sum(statistics.predictions.values())
    words = {"mask": "replaced by [MASK]", "random": "replaced by a random entry", "kept": "left as it is"}
    rows = [(words[fate], count, percent(count / max(1, total))) for fate, count in statistics.predictions.items()]
    drawn = f"The records hold no masks: these are drawn as training draws them in its first epoch with seed {seed}. "
    return join(
        [
            note(
                f"{drawn if statistics.masking == 'dynamic' else ''}{percent(facts['masked'])} of all tokens are "
                f"predicted, {facts['predictions_per_example']:.1f} an example. A random entry that is "
                "the token itself counts as left."
            ),
            table(rows, header=("Fate", "Tokens", "Share")),
        ]
    )


def _vocabulary(statistics: CorpusStatistics) -> list[Html]:
    never = statistics.never_used()
    most = statistics.most_used(_MOST_USED)
    shown = join(join([element("code", token), " "]) for token in never[:_NEVER_USED])
    more = f" The first {_NEVER_USED} of them:" if len(never) > _NEVER_USED else ""
    return [
        element("h3", "Most frequent"),
        element(
            "div",
            join(element("div", join([element("code", token), f" {count:,}"])) for token, count in most),
            class_="columns",
        ),
        element("h3", "Never used"),
        note(f"{len(never):,} of {len(statistics.vocabulary):,} entries.{more}"),
        element("p", shown),
    ]


def _example(example: MaskedExample) -> Html:
    pieces: list[Html] = []
    for text, fate, original in words_with_marks(example):
        if fate:
            space = " " if text.startswith(" ") else ""
            small = element("small", f" {original}") if fate != "kept" else ""
            pieces.append(join([space, element("mark", join([text.strip(), small]), class_=fate)]))
        else:
            pieces.append(escape(text))
    return join([element("div", join(pieces), class_="example"), note(example.label) if example.label else ""])
