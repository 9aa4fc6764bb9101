"""Hours of load: latency and memory stay as they are."""

import os
import time

import numpy as np
import pytest

SOAK_SECONDS = float(os.environ.get("KBERT_SOAK_SECONDS", "60"))
"""30 minutes are the full test: KBERT_SOAK_SECONDS=1800."""
CLIENTS = 4
LOAD = 0.8
MOST_GROWTH = 1.05
MOST_SLOWER = 2.0
NOISE_SECONDS = 0.1
"""The p99 may vary by this much, since other programs use the machine too."""


def measured(server, clients, seconds, interval=0.0):
    with clients(server, rest=CLIENTS // 2, grpc=CLIENTS // 2, interval=interval) as load:
        time.sleep(seconds)
    assert load.failures == []
    return load


@pytest.mark.chaos
def test_latency_and_memory_are_flat(tmp_path, version, start, clients):
    version(1, tmp_path / "m" / "1")
    server = start(tmp_path)
    full = measured(server, clients, 10).answered / 10
    interval = CLIENTS / (full * LOAD)
    measured(server, clients, 5, interval)
    before = server.memory
    load = measured(server, clients, SOAK_SECONDS, interval)
    times, seconds = np.array(load.latencies).T
    thirds = [
        seconds[(times - times[0]) // ((times[-1] - times[0]) / 3 + 1e-6) == number] * 1000 for number in range(3)
    ]
    median, p99 = ([float(np.percentile(third, percent)) for third in thirds] for percent in (50, 99))
    print(
        f"\n{SOAK_SECONDS:.0f} s at {load.answered / SOAK_SECONDS:.0f} of {full:.0f} requests/s; thirds: median "
        f"{', '.join(f'{each:.1f}' for each in median)} ms, p99 {', '.join(f'{each:.1f}' for each in p99)} ms; memory "
        f"{before / 1e6:.0f} MB before, {server.memory / 1e6:.0f} MB after"
    )
    assert server.memory <= before * MOST_GROWTH
    assert p99[2] <= p99[0] * MOST_SLOWER + NOISE_SECONDS * 1000
