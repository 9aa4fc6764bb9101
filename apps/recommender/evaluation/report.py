"""The results as one HTML page, without scripts and without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from apps.recommender.data.folder import DataFolder
from apps.recommender.evaluation.comparison import Comparison
from apps.recommender.evaluation.examples import example_new_items, example_users
from apps.recommender.evaluation.fitted import FACTORIZATION, HYBRID, POPULARITY
from apps.recommender.evaluation.metrics import Quality

_TEMPLATE = "report.html.j2"
_WIDTH, _HEIGHT = 560, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 60, 24, 40


def write_report(path: Path, data: DataFolder, found: Comparison) -> None:
    """Writes the page.

    Args:
        path: The file.
        data: The data.
        found: The results.
    """
    best_for_new_items = max(found.new_items, key=lambda name: found.new_items[name].ndcg)
    values = {
        "questions": [
            _question("Known users and items", "What do users like next?", found.next_likes),
            _question("New users", "What do users like of whom two likes are known?", found.new_users),
            _question("New items", "Which items that nobody has rated do users like?", found.new_items),
        ],
        "chance": found.chance,
        "cannot": f"{POPULARITY} and {FACTORIZATION}",
        "diversity": found.diversity,
        "curve": _curve(found),
        "width": _WIDTH,
        "height": _HEIGHT,
        "examples": example_users(data, found, [POPULARITY, FACTORIZATION, found.text_model, HYBRID]),
        "new_items": example_new_items(data, found, best_for_new_items),
        "counts": {
            "items": len(data.items),
            "users": len(data.split.users),
            "new items": len(data.split.new_items),
            "new users": sum(user.is_new for user in data.split.users),
        },
    }
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(resources.files(__package__).joinpath(_TEMPLATE).read_text(encoding="utf-8"))
    path.write_text(template.render(values), encoding="utf-8")


def _question(title: str, question: str, qualities: Mapping[str, Quality]) -> dict[str, Any]:
    """Returns a table with bars; the longest bar is the end of the best interval."""
    longest = max(quality.ndcg_interval[1] for quality in qualities.values())
    order = sorted(qualities, key=lambda name: -qualities[name].ndcg)
    rows = [
        {
            "name": name,
            "quality": qualities[name],
            "bar": round(100 * qualities[name].ndcg / longest, 1),
            "low": round(100 * qualities[name].ndcg_interval[0] / longest, 1),
            "high": round(100 * qualities[name].ndcg_interval[1] / longest, 1),
        }
        for name in order
    ]
    return {"title": title, "question": question, "rows": rows, "users": qualities[order[0]].users}


def _curve(found: Comparison) -> dict[str, Any]:
    """Returns the points of the curve of diversity: similarity to the right, nDCG upwards."""
    xs = [row.similarity for row in found.diversity]
    ys = [row.quality.ndcg for row in found.diversity]
    low_x, high_x, high_y = min(xs), max(xs), max(ys)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - low_x) / max(high_x - low_x, 1e-9)
        up = y / max(high_y, 1e-9)
        return (
            round(_LEFT + across * (_WIDTH - _LEFT - _RIGHT), 1),
            round(_HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM), 1),
        )

    points = [place(x, y) for x, y in zip(xs, ys, strict=True)]
    return {
        "line": " ".join(f"{x},{y}" for x, y in points),
        "points": [{"x": x, "y": y, "trade": row.trade} for (x, y), row in zip(points, found.diversity, strict=True)],
        "ticks_x": [{"x": place(x, 0)[0], "text": f"{x:.3f}"} for x in (low_x, (low_x + high_x) / 2, high_x)],
        "ticks_y": [{"y": place(low_x, y)[1], "text": f"{y:.2f}"} for y in (0.0, high_y / 2, high_y)],
    }
