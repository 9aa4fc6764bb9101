"""Counters, histograms and gauges in Prometheus's text format, under TensorFlow Serving's names."""

from __future__ import annotations

import bisect
import dataclasses
import re
import threading
from collections.abc import Callable, Iterable, Mapping

DEFAULT_PATH = "/monitoring/prometheus/metrics"
_LABEL = re.compile(r"[^a-zA-Z0-9]")
# TensorFlow Serving's buckets for microseconds: 10 x 1.8^i.
_MICROSECONDS = tuple(10 * 1.8**power for power in range(33))
_QUEUING_MICROSECONDS = tuple(100 * 1.2**power for power in range(52))
_SIZES = tuple(float(2**power) for power in range(15))

Labels = Mapping[str, str]
Gauges = Callable[[], Iterable[tuple[Labels, float]]]


class Counter:
    """A number of events for each set of labels.

    Args:
        name: The name, with slashes as in TensorFlow Serving's sources.
    """

    kind = "counter"

    def __init__(self, name: str) -> None:
        self.name = name
        self._values: dict[tuple[tuple[str, str], ...], float] = {}
        self._lock = threading.Lock()

    def add(self, amount: float = 1, **labels: str) -> None:
        """Adds to the counter of these labels."""
        key = tuple(labels.items())
        with self._lock:
            self._values[key] = self._values.get(key, 0) + amount

    def total(self) -> int:
        """Returns the sum over all labels."""
        with self._lock:
            return int(sum(self._values.values()))

    def lines(self) -> list[str]:
        """Returns the lines of the text format."""
        with self._lock:
            values = list(self._values.items())
        return [f"{_name(self.name)}{_labels(key)} {_number(value)}" for key, value in values]


@dataclasses.dataclass
class _Cells:
    counts: list[int]
    total: float = 0.0


class Histogram:
    """The distribution of a number for each set of labels.

    Args:
        name: The name, with slashes as in TensorFlow Serving's sources.
        bounds: The upper bounds of the buckets.
    """

    kind = "histogram"

    def __init__(self, name: str, bounds: tuple[float, ...]) -> None:
        self.name = name
        self._bounds = bounds
        self._cells: dict[tuple[tuple[str, str], ...], _Cells] = {}
        self._lock = threading.Lock()

    def record(self, value: float, **labels: str) -> None:
        """Adds a number to the histogram of these labels."""
        key = tuple(labels.items())
        # As in TensorFlow, a number that equals a bound belongs to the next bucket.
        index = bisect.bisect_right(self._bounds, value)
        with self._lock:
            cells = self._cells.setdefault(key, _Cells([0] * (len(self._bounds) + 1)))
            cells.counts[index] += 1
            cells.total += value

    def lines(self) -> list[str]:
        """Returns the lines of the text format."""
        with self._lock:
            cells = [(key, list(each.counts), each.total) for key, each in self._cells.items()]
        lines = []
        name = _name(self.name)
        for key, counts, total in cells:
            reached = 0
            for bound, count in zip((*(f"{bound:.6g}" for bound in self._bounds), "+Inf"), counts, strict=True):
                reached += count
                lines.append(f"{name}_bucket{_labels((*key, ('le', bound)))} {reached}")
            lines.append(f"{name}_sum{_labels(key)} {_number(total)}")
            lines.append(f"{name}_count{_labels(key)} {reached}")
        return lines


class Gauge:
    """A number that is asked for when the metrics are read.

    Args:
        name: The name, with slashes.
        values: Returns the number of each set of labels.
    """

    kind = "gauge"

    def __init__(self, name: str, values: Gauges) -> None:
        self.name = name
        self._values = values

    def lines(self) -> list[str]:
        """Returns the lines of the text format."""
        return [
            f"{_name(self.name)}{_labels(tuple(labels.items()))} {_number(value)}" for labels, value in self._values()
        ]


class Metrics:
    """All metrics of a server."""

    def __init__(self) -> None:
        self.request_count = Counter("/tensorflow/serving/request_count")
        self.request_latency = Histogram("/tensorflow/serving/request_latency", _MICROSECONDS)
        self.runtime_latency = Histogram("/tensorflow/serving/runtime_latency", _MICROSECONDS)
        self.example_counts = Histogram("/tensorflow/serving/request_example_counts", _SIZES)
        self.example_count_total = Counter("/tensorflow/serving/request_example_count_total")
        self.warmup_latency = Histogram("/tensorflow/serving/model_warmup_latency", _MICROSECONDS)
        self.warmup_records = Counter("/tensorflow/serving/model_warmup_records_read")
        self.load_attempts = Counter("/tensorflow/cc/saved_model/load_attempt_count")
        self.load_latency = Counter("/tensorflow/cc/saved_model/load_latency")
        self.queuing_latency = Histogram("/tensorflow/serving/batching_session/queuing_latency", _QUEUING_MICROSECONDS)
        self.batch_run_count = Counter("/tensorflow/serving/batching_session/wrapped_run_count")
        self.batch_size = Histogram("/kbert/serving/batch_size", _SIZES)
        self._all: list[Counter | Histogram | Gauge] = [
            each for each in vars(self).values() if not isinstance(each, list)
        ]

    def add_gauge(self, name: str, values: Gauges) -> None:
        """Adds a gauge.

        Args:
            name: The name, with slashes.
            values: Returns the number of each set of labels.
        """
        self._all.append(Gauge(name, values))

    def counter_total(self, name: str) -> int:
        """Returns the sum of a counter over all labels; 0 if there is no counter of this name."""
        for metric in self._all:
            if metric.name == name and isinstance(metric, Counter):
                return metric.total()
        return 0

    def text(self) -> str:
        """Returns all metrics in Prometheus's text format."""
        lines = []
        for metric in self._all:
            values = metric.lines()
            if values:
                lines += [f"# TYPE {_name(metric.name)} {metric.kind}", *values]
        return "".join(f"{line}\n" for line in lines)


def _name(name: str) -> str:
    # TensorFlow Serving's exporter writes slashes as colons, the first one too.
    return name.replace("/", ":")


def _labels(labels: Iterable[tuple[str, str]]) -> str:
    texts = []
    for key, value in labels:
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        texts.append(f'{_LABEL.sub("_", key)}="{escaped}"')
    return "{" + ",".join(texts) + "}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
