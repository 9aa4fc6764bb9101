"""The results of a replay as text."""

from __future__ import annotations

from typing import Any

from apps.sentiment_monitor.surges.rule import NEGATIVE


def table_of(results: dict[str, Any]) -> str:
    """Returns a table, which can be pasted into Markdown."""
    right, alarms = results["accuracies"], results["false_alarms"]
    lines = [
        f"Accuracy on the replayed headlines: topic {right['topic']:.3f}, sentiment {right['sentiment']:.3f}; "
        f"{right['finance_as_business']:.0%} of the financial sentences are given the topic Business.",
        f"False alarms: {alarms['alerts']} in {alarms['weeks']} weeks without surges, {alarms['per_week']:.2f} a week "
        f"(95 % confidence: {alarms['low']:.2f} to {alarms['high']:.2f}).",
        "",
        "| planted surge of 24 hours | found | delay, median | delay, 9 of 10 within |",
        "|---|---|---|---|",
    ]
    for row in results["detections"]:
        if row["kind"] == NEGATIVE:
            surge = f"{row['size']:.0%} of the financial headlines are negative"
        else:
            surge = f"{row['size']:g} times as many headlines of a topic"
        delays = f"{row['median_hours']:.1f} h | {row['slowest_hours']:.1f} h" if row["found"] else "– | –"
        lines.append(f"| {surge} | {row['found']} of {row['planted']} | {delays} |")
    return "\n".join(lines)
