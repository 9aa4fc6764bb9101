"""The files of apps/tf_serving are well formed, and ask only for metrics that the servers have."""

import json
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest
import tensorflow as tf
import yaml

from kbert.serving.batching.parameters import read_parameters
from kbert.serving.monitoring.config import read_monitoring_path
from kbert.serving.options import ServeOptions
from kbert.serving.server import running_server

FOLDER = Path(__file__).parents[2] / "apps" / "tf_serving"
MONITORING = FOLDER / "monitoring"
DASHBOARD = MONITORING / "grafana" / "dashboards" / "serving.json"

# The metrics in the sources of TensorFlow Serving (util.cc, batching_session.cc, batching_util.h,
# saved_model_warmup_util.cc), of TensorFlow's loader of SavedModels, and of kbert, with their labels.
HISTOGRAMS = {
    ":tensorflow:serving:request_latency": {"model_name", "API", "entrypoint"},
    ":tensorflow:serving:runtime_latency": {"model_name", "API", "runtime"},
    ":tensorflow:serving:model_warmup_latency": {"model_path", "status"},
    ":tensorflow:serving:batching_session:queuing_latency": {"thread_pool_name"},
    ":tensorflow:serving:batching_session:processed_batch_size": set(),
    ":kbert:serving:batch_size": {"model_name"},
}
SERIES = {
    ":tensorflow:serving:request_count": {"model_name", "status"},
    ":tensorflow:cc:saved_model:load_attempt_count": {"model_path", "status"},
    ":tensorflow:cc:saved_model:load_latency": {"model_path"},
    ":kbert:serving:queue_length": {"model_name"},
    **{name + "_bucket": {*labels, "le"} for name, labels in HISTOGRAMS.items()},
    **{name + end: labels for name, labels in HISTOGRAMS.items() for end in ("_sum", "_count")},
    "up": set(),  # Prometheus adds it
}
TARGET_LABELS = {"job", "instance"}  # Prometheus adds them to each series
WORDS = set("by sum rate increase histogram_quantile avg_over_time absent offset or unless label_values".split())


def rules():
    (group,) = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    return group["rules"]


def dashboard():
    return json.loads(DASHBOARD.read_text())


def dashboard_expressions():
    targets = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    variables = [
        variable["query"]["query"] for variable in dashboard()["templating"]["list"] if variable["name"] != "datasource"
    ]
    return targets + variables


def names_and_labels(expression):
    """The metrics of an expression in PromQL, and all its labels."""
    labels = set()

    def note(found):
        labels.update(re.findall(r"(\w+)\s*(?:=~|!~|!=|=|,|$)", re.sub(r'"[^"]*"', "", found[1])))
        return " "

    rest = re.sub(r"\{([^}]*)\}", note, expression)
    rest = re.sub(r"\bby \(([^)]*)\)", note, rest)
    rest = re.sub(r", (\w+)\)$", note, rest) if rest.startswith("label_values(") else rest
    rest = re.sub(r"\[[^\]]*\]|\b\d\w*", " ", rest)
    return set(re.findall(r"[A-Za-z_:][\w:]*", rest)) - WORDS, labels


def test_names_and_labels_are_found():
    expression = 'sum by (job, le) (rate(:a:b_bucket{x=~"y,z=1"}[5m])) / 0.5 or absent(up offset 15m) > 1e5'
    assert names_and_labels(expression) == ({":a:b_bucket", "up"}, {"job", "le", "x"})
    assert names_and_labels('label_values(:a:b{c="d"}, e)') == ({":a:b"}, {"c", "e"})


@pytest.mark.parametrize("expression", [*[rule["expr"] for rule in rules()], *dashboard_expressions()])
def test_expressions_use_metrics_and_labels_that_exist(expression):
    names, labels = names_and_labels(expression)
    assert names
    assert names <= SERIES.keys()
    assert labels <= set.union(TARGET_LABELS, *(SERIES[name] for name in names))


def test_the_server_has_the_metrics(tmp_path):
    class Texts(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
        def length(self, text):
            return {"length": tf.strings.length(text)}

    texts = Texts()
    tf.saved_model.save(texts, str(tmp_path / "texts" / "1"), signatures={"serving_default": texts.length})
    with running_server(tmp_path, options=ServeOptions(rest_port=0, grpc_port=0, batch_all_models=True)) as server:
        body = b'{"instances": ["a"]}'
        with urllib.request.urlopen(f"{server.url}/v1/models/texts:predict", data=body) as answer:
            assert json.load(answer) == {"predictions": [1]}
        with urllib.request.urlopen(f"{server.url}/monitoring/prometheus/metrics") as answer:
            lines = answer.read().decode().splitlines()
    served = {line.partition("{")[0].partition(" ")[0] for line in lines if not line.startswith("#")}
    assert {name for name in SERIES if name.startswith(":kbert:")} <= served
    assert {":tensorflow:serving:request_count", ":tensorflow:serving:request_latency_bucket"} <= served


def test_panels_have_a_unit_a_description_and_the_chosen_data_source():
    panels = dashboard()["panels"]
    assert len({panel["title"] for panel in panels}) == len({panel["id"] for panel in panels}) == len(panels) == 10
    for panel in panels:
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["description"].endswith(".")
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)


def test_times_are_shown_in_the_unit_of_the_metric():
    for panel in dashboard()["panels"]:
        if any("latency" in target["expr"] for target in panel["targets"]):
            assert panel["fieldConfig"]["defaults"]["unit"] == "µs"


def test_the_compose_file_mounts_files_that_exist():
    compose = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    services = compose["services"]
    assert set(services) == {"tf-serving", "kbert-serve", "prometheus", "grafana"}
    mounted = [volume.split(":")[0] for service in services.values() for volume in service["volumes"]]
    for source in mounted:
        assert source in compose["volumes"] or (FOLDER / source).exists()
    build = services["kbert-serve"]["build"]
    assert (FOLDER / build["context"] / build["dockerfile"]).is_file()
    script = services["tf-serving"]["command"][0]
    assert "--monitoring_config_file=/config/monitoring.config" in script
    assert subprocess.run(["bash", "-n"], input=script.replace("$$", "$"), text=True, check=False).returncode == 0


def test_prometheus_reads_the_path_that_monitoring_config_turns_on():
    path = read_monitoring_path(FOLDER / "config" / "monitoring.config")
    jobs = yaml.safe_load((MONITORING / "prometheus.yaml").read_text())["scrape_configs"]
    services = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
    assert {job["metrics_path"] for job in jobs} == {path}
    for job in jobs:
        (discovery,) = job["dns_sd_configs"]
        assert discovery["names"] == [job["job_name"]]
        assert job["job_name"] in services
        assert any(port.endswith(f":{discovery['port']}") for port in services[job["job_name"]]["ports"])


def test_grafana_finds_prometheus_and_the_dashboard():
    provisioning = MONITORING / "grafana" / "provisioning"
    services = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "serving.yaml").read_text())["providers"]
    mounts = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"])
    assert source["url"] == "http://prometheus:9090"
    assert mounts["./monitoring/grafana/dashboards"] == provider["options"]["path"]
    assert mounts["./monitoring/grafana/provisioning"] == "/etc/grafana/provisioning"
    (variable,) = [each for each in dashboard()["templating"]["list"] if each["name"] == "datasource"]
    assert variable["current"]["value"] == source["uid"]


def test_batching_parameters_are_those_of_tensorflow_serving():
    parameters = read_parameters(FOLDER / "config" / "batching.config")
    assert (parameters.max_batch_size, parameters.max_execution_batch_size) == (1024, 32)
    assert (parameters.max_enqueued_batches, parameters.num_batch_threads) == (100, 2)
    assert (parameters.batch_timeout_micros, parameters.enable_large_batch_splitting) == (2000, True)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool, a program of Prometheus, is not installed")
def test_alerts_fire_when_they_should():
    checked = subprocess.run(
        ["promtool", "check", "config", MONITORING / "prometheus.yaml"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tested = subprocess.run(
        ["promtool", "test", "rules", Path(__file__).with_name("alerts_test.yaml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool, a program of Prometheus, is not installed")
def test_the_dashboard_is_valid_promql(tmp_path):
    replaced = [
        expression.replace("$__rate_interval", "1m")
        for expression in dashboard_expressions()
        if not expression.startswith("label_values(")
    ]
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(replaced)]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    checked = subprocess.run(
        ["promtool", "check", "rules", tmp_path / "rules.yaml"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
