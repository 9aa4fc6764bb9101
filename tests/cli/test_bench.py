import json
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from kbert.cli.main import main
from kbert.inference.litert_model import litert_model


def run(*arguments):
    return CliRunner().invoke(main, ["bench", "litert", *map(str, arguments)])


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Rows of a table of 7 rows, times a matrix; the number of rows is not fixed."""
    table, matrix = (tf.constant(np.ones(shape, np.float32)) for shape in ((7, 16), (16, 16)))
    path = tmp_path_factory.mktemp("litert") / "model.tflite"
    spec = tf.TensorSpec([1, None], tf.int32, name="input_word_ids")
    path.write_bytes(litert_model(lambda input_word_ids: {"y": tf.gather(table, input_word_ids) @ matrix}, [spec]))
    return path


def test_tables_are_printed(file):
    done = run(file, "--threads", 1, "--threads", 2, "--runs", 5, "--sequence-length", 8)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == f"{file}: {file.stat().st_size:,} bytes"
    assert re.fullmatch(r"  float32 +1,472 bytes +\d+\.\d%", lines[1])
    assert re.fullmatch(r"  other +[\d,]+ bytes +\d+\.\d%", lines[-9])
    assert lines[-8:-3] == [
        "",
        "serving_default: input_word_ids [1, 8]",
        "  2 operations, 1 of them in XNNPACK, in 1 partition",
        "  outside of XNNPACK: 1 GATHER",
        "  threads     p50 ms     p90 ms    runs    peak memory",
    ]
    for line, threads in zip(lines[-3:-1], (1, 2), strict=True):
        assert re.fullmatch(rf" {{8}}{threads} +\d+\.\d\d +\d+\.\d\d       5 +(\d+\.\d MB|unknown)", line)
    assert lines[-1].endswith(" of the memory without the model.")


def test_json_has_all_measurements(file):
    done = run(file, "--threads", 1, "--runs", 5, "--sequence-length", 8, "--json")
    measured = json.loads(done.stdout)
    assert (measured["file"], measured["size"]) == (str(file), file.stat().st_size)
    assert measured["weights"]["float32"] == 1472
    signature = measured["signatures"]["serving_default"]
    assert signature["inputs"] == {"input_word_ids": [1, 8]}
    assert (signature["operations"], signature["partitions"], signature["outside"]) == (2, 1, {"GATHER": 1})
    assert set(signature["latencies"][0]) == {
        "threads", "runs", "p50_ms", "p90_ms", "peak_memory", "memory_before"
    }  # fmt: skip


def test_options_are_spelled_as_typed(file):
    done = run(file)
    assert (done.exit_code, done.stderr) == (
        2,
        "Error: expected inputs of fixed shapes, or --sequence-length. Received: input_word_ids [1, ?]; add "
        "--sequence-length 128\n",
    )
    done = run(file, "--threads", 2, "--threads", 0)
    assert (done.exit_code, done.stderr) == (
        2,
        "Error: --threads must be at least 1. Received: --threads 2 --threads 0\n",
    )


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("no model here\n")
    done = run(path)
    assert (done.exit_code, done.stderr) == (
        1,
        f"Error: {path}: expected a LiteRT model (.tflite). Received: a file in another format\n",
    )
    assert run(tmp_path / "none.tflite").exit_code == 2


def test_the_command_runs_without_tensorflow(file):
    code = (
        "import sys\n"
        "from kbert.cli.main import main\n"
        "try: main()\n"
        "finally: print({'tensorflow', 'keras', 'ai_edge_litert'} & set(sys.modules))"
    )
    command = ["bench", "litert", file, "--runs", "1", "--threads", "1", "--sequence-length", "4"]
    result = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr, result.stdout.splitlines()[-1]) == (0, "", "set()")
