"""The results as tables in Markdown."""

from __future__ import annotations

from collections.abc import Mapping

from apps.recommender.evaluation.comparison import Comparison
from apps.recommender.evaluation.fitted import FACTORIZATION, POPULARITY
from apps.recommender.evaluation.metrics import Quality


def markdown_tables(found: Comparison) -> str:
    """Returns all tables."""
    cannot = f"| {POPULARITY}, {FACTORIZATION} | – | – |"
    chance = f"| random lists | {found.chance:.3f} | |"
    parts = [
        _table("Known users and items", found.next_likes),
        _table("New users, with two likes", found.new_users),
        _table("New items, with texts alone", found.new_items, cannot, chance),
        "Diversity of the hybrid\n\n"
        "| relevance counts | recall@20 | nDCG@20 | intra-list similarity |\n|---|---|---|---|\n"
        + "\n".join(
            f"| {row.trade:g} | {row.quality.recall:.3f} | {row.quality.ndcg:.3f} | {row.similarity:.3f} |"
            for row in found.diversity
        ),
    ]
    return "\n\n".join(parts)


def _table(title: str, qualities: Mapping[str, Quality], *more: str) -> str:
    users = next(iter(qualities.values())).users
    best = max(qualities.values(), key=lambda quality: quality.ndcg)
    rows = [
        f"| {name} | {_shown(quality.recall, quality.recall_interval, quality is best)} | "
        f"{_shown(quality.ndcg, quality.ndcg_interval, quality is best)} |"
        for name, quality in qualities.items()
    ]
    head = f"{title} ({users} users)\n\n| model | recall@20 | nDCG@20 |\n|---|---|---|"
    return "\n".join([head, *rows, *more])


def _shown(value: float, interval: tuple[float, float], is_best: bool) -> str:
    number = f"**{value:.3f}**" if is_best else f"{value:.3f}"
    return f"{number} ({interval[0]:.3f}–{interval[1]:.3f})"
