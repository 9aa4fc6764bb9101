"""The commands of `kbert bench`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from kbert.cli import options
from kbert.inference.litert_benchmark.options import BenchLitertOptions
from kbert.options import option_infos

if TYPE_CHECKING:
    from kbert.inference.litert_benchmark.benchmark import LitertBenchmark, LitertSignature


@click.group()
def bench() -> None:
    """Measure the size, the latency and the memory of a LiteRT model."""


@bench.command(short_help="Measure a LiteRT file on this machine.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, readable=True), metavar="FILE")
@options.declared(option_infos(BenchLitertOptions))
@options.JSON
def litert(file: str, as_json: bool, **settings: Any) -> None:
    """Measure the LiteRT file FILE on this machine, with inputs that are as long as the file allows.

    The command prints the size of the file and of its weights by dtype. For each signature it prints the operations
    that LiteRT leaves to XNNPACK and those outside, and for each number of threads the median and the 90th percentile
    of the latency in milliseconds, and the peak memory of a process that does nothing else.
    """
    chosen = BenchLitertOptions(**settings)
    from kbert.inference.litert_benchmark.benchmark import bench_litert

    benchmark = bench_litert(file, options=chosen)
    if as_json:
        options.print_json({"file": file, **dataclasses.asdict(benchmark)})
        return
    _print_sizes(file, benchmark)
    for name, signature in benchmark.signatures.items():
        _print_signature(name, signature)


def _print_sizes(file: str, benchmark: LitertBenchmark) -> None:
    click.echo(f"{file}: {benchmark.size:,} bytes")
    for kind, size in (*benchmark.weights.items(), ("other", benchmark.other)):
        click.echo(f"  {kind:10} {size:13,} bytes {size / benchmark.size:7.1%}")


def _print_signature(name: str, signature: LitertSignature) -> None:
    inputs = ", ".join(f"{input_name} {list(shape)}" for input_name, shape in signature.inputs.items())
    inside = signature.operations - sum(signature.outside.values())
    click.echo(f"\n{name}: {inputs}")
    click.echo(
        f"  {signature.operations:,} operations, {inside:,} of them in XNNPACK, in "
        f"{signature.partitions:,} {'partition' if signature.partitions == 1 else 'partitions'}"
    )
    click.echo(f"  outside of XNNPACK: {_listed(signature.outside) or 'none'}")
    click.echo(f"  {'threads':>7} {'p50 ms':>10} {'p90 ms':>10} {'runs':>7} {'peak memory':>14}")
    for row in signature.latencies:
        memory = "unknown" if row.peak_memory is None else f"{row.peak_memory / 1e6:,.1f} MB"
        click.echo(f"  {row.threads:7} {row.p50_ms:10.2f} {row.p90_ms:10.2f} {row.runs:7,} {memory:>14}")
    before = [row.memory_before for row in signature.latencies if row.memory_before is not None]
    if before:
        click.echo(f"  Python and LiteRT take {max(before) / 1e6:,.1f} MB of the memory without the model.")


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())
