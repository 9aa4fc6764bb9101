"""The manifests in apps/kubernetes are valid, fit each other, and fit `kbert serve`."""

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import tensorflow as tf
import yaml
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

FOLDER = Path(__file__).parents[2] / "apps" / "kubernetes"
MANIFESTS = ["autoscaler", "deployment", "disruption-budget", "models-claim", "service", "upload"]


def documents(name):
    return list(yaml.safe_load_all((FOLDER / f"{name}.yaml").read_text()))


@pytest.fixture(scope="module")
def deployment():
    (found,) = documents("deployment")
    return found


@pytest.fixture(scope="module")
def pod(deployment):
    return deployment["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def container(pod):
    (found,) = pod["containers"]
    return found


def models(text):
    """The parsed models.config, by the names of the models."""
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    return {each.name: each for each in config.model_config_list.config}


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests_follow_the_schemas_of_kubernetes(name):
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    for document in documents(name):
        validator.validate(document, "1.30", strict=True)
        validator.validate(document, validator.latest_version(), strict=True)


def test_an_unknown_field_is_found():
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    (autoscaler,) = documents("autoscaler")
    autoscaler["spec"]["minReplica"] = autoscaler["spec"].pop("minReplicas")
    with pytest.raises(validator.ValidationError, match="minReplica"):
        validator.validate(autoscaler, "1.30", strict=True)


def test_all_manifests_are_in_the_kustomization():
    (kustomization,) = documents("kustomization")
    files = {path.name for path in FOLDER.glob("*.yaml")}
    assert set(kustomization["resources"]) == files - {"kustomization.yaml", "upload.yaml", "prometheus-adapter.yaml"}
    assert files == {f"{name}.yaml" for name in [*MANIFESTS, "kustomization", "prometheus-adapter"]}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kustomize_names_the_image_and_the_config_map():
    built = subprocess.run(["kubectl", "kustomize", FOLDER], capture_output=True, text=True, check=True).stdout
    (deployment,) = [each for each in yaml.safe_load_all(built) if each["kind"] == "Deployment"]
    (config_map,) = [each for each in yaml.safe_load_all(built) if each["kind"] == "ConfigMap"]
    pod = deployment["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == "PLACE/kbert-serve:latest"
    assert re.fullmatch(r"kbert-serve-models-\w{10}", config_map["metadata"]["name"])
    assert {"configMap": {"name": config_map["metadata"]["name"]}, "name": "config"} in pod["volumes"]
    assert config_map["data"]["models.config"] == (FOLDER / "models.config").read_text()


def test_everything_selects_the_pods_of_the_deployment(deployment):
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    (budget,) = documents("disruption-budget")
    services = documents("service")
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert budget["spec"]["selector"]["matchLabels"] == labels
    assert [service["spec"]["selector"] for service in services] == [labels, labels]
    (autoscaler,) = documents("autoscaler")
    target = autoscaler["spec"]["scaleTargetRef"]
    assert (target["apiVersion"], target["kind"]) == (deployment["apiVersion"], deployment["kind"])
    assert target["name"] == deployment["metadata"]["name"]
    # A number in the manifest would undo the autoscaler's at each apply.
    assert "replicas" not in deployment["spec"]


def test_ports_and_probes_are_those_of_the_server(deployment, container):
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": 8500, "rest": 8501}
    assert {"--port=8500", "--rest_api_port=8501"} <= set(container["args"])
    probes = {name: container[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert probes == {
        "startupProbe": {"path": "/health/live", "port": "rest"},
        "livenessProbe": {"path": "/health/live", "port": "rest"},
        "readinessProbe": {"path": "/health/ready", "port": "rest"},
    }
    targets = {
        port["name"]: port["targetPort"] for service in documents("service") for port in service["spec"]["ports"]
    }
    assert targets == {"grpc": "grpc", "rest": "rest"}
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == "8501"
    assert annotations["prometheus.io/path"] == "/monitoring/prometheus/metrics"


def test_accepted_requests_have_time_to_end(pod, container):
    program, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
    assert program == "sleep"
    (timeout,) = [arg.partition("=")[2] for arg in container["args"] if arg.startswith("--rest_api_timeout_in_ms=")]
    assert int(seconds) + int(timeout) / 1000 < pod["terminationGracePeriodSeconds"]


def test_the_user_is_that_of_the_image(pod):
    dockerfile = (FOLDER.parent / "serve" / "Dockerfile").read_text()
    assert f"USER {pod['securityContext']['runAsUser']}\n" in dockerfile


def test_the_autoscaler_reads_the_metric_that_the_adapter_offers():
    (values,) = documents("prometheus-adapter")
    (rule,) = values["rules"]["custom"]
    (autoscaler,) = documents("autoscaler")
    (metric,) = autoscaler["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] == rule["name"]["as"] == "queue_length"
    series, _, labels = rule["seriesQuery"].partition("{")
    assert series == ":kbert:serving:queue_length"
    assert re.fullmatch(rule["name"]["matches"], series)
    assert set(re.findall(r'(\w+)!=""', labels)) == set(rule["resources"]["overrides"]) == {"namespace", "pod"}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool, a program of Prometheus, is not installed")
def test_the_query_of_the_adapter_is_valid_promql(tmp_path):
    (values,) = documents("prometheus-adapter")
    (rule,) = values["rules"]["custom"]
    query = rule["metricsQuery"]
    for placeholder, value in {
        "<<.Series>>": ":kbert:serving:queue_length",
        "<<.LabelMatchers>>": 'namespace="default",pod=~"a|b"',
        "<<.GroupBy>>": "pod",
    }.items():
        query = query.replace(placeholder, value)
    assert "<<" not in query
    rules = [{"record": "adapter:query", "expr": query}, {"record": "adapter:series", "expr": rule["seriesQuery"]}]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "adapter", "rules": rules}]}))
    subprocess.run(["promtool", "check", "rules", tmp_path / "rules.yaml"], capture_output=True, check=True)


def test_the_volumes_hold_what_the_server_reads(pod, container):
    claims = [volume.get("persistentVolumeClaim") for volume in pod["volumes"]]
    (claim,) = documents("models-claim")
    assert {"claimName": claim["metadata"]["name"], "readOnly": True} in claims
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    for model in models((FOLDER / "models.config").read_text()).values():
        assert model.base_path.startswith(mounts["models"]["mountPath"] + "/")
    assert mounts["models"]["readOnly"]
    assert f"--model_config_file={mounts['config']['mountPath']}/models.config" in container["args"]
    (upload,) = documents("upload")
    assert upload["spec"]["volumes"][0]["persistentVolumeClaim"] == {"claimName": claim["metadata"]["name"]}


def test_labels_name_versions_that_are_served():
    sentiment = models((FOLDER / "models.config").read_text())["sentiment"]
    assert dict(sentiment.version_labels) == {"stable": 1, "canary": 2}
    assert list(sentiment.model_version_policy.specific.versions) == [1, 2]
    assert sentiment.model_platform == "tensorflow"


def test_the_command_of_the_readme_moves_the_label(tmp_path):
    (command,) = re.findall(r"^(sed -i .*)$", (FOLDER / "README.md").read_text(), re.M)
    shutil.copy(FOLDER / "models.config", tmp_path)
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    sentiment = models((tmp_path / "models.config").read_text())["sentiment"]
    assert dict(sentiment.version_labels) == {"stable": 2, "canary": 2}
    assert list(sentiment.model_version_policy.specific.versions) == [1, 2]


@pytest.mark.slow
def test_the_server_starts_with_these_options_and_labels(container, tmp_path):
    class Number(tf.Module):
        def __init__(self, number):
            self.number = number

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
        def version(self, text):
            return {"version": tf.fill([tf.size(text)], self.number)}

    for number in (1, 2):
        model = Number(number)
        signatures = {"serving_default": model.version}
        tf.saved_model.save(model, str(tmp_path / "models" / "sentiment" / str(number)), signatures=signatures)
    config = (FOLDER / "models.config").read_text().replace('"/models/', f'"{tmp_path}/models/')
    (tmp_path / "models.config").write_text(config)
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        grpc_port, rest_port = one.getsockname()[1], other.getsockname()[1]
    url = f"http://127.0.0.1:{rest_port}"
    replaced = [
        arg.replace("=8500", f"={grpc_port}").replace("=8501", f"={rest_port}").replace("=/config", f"={tmp_path}")
        for arg in container["args"]
    ]

    def status(path, body=None):
        try:
            with urllib.request.urlopen(url + path, data=body) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as problem:
            with problem:
                return problem.code, problem.read()
        except OSError:
            return None, b""

    with subprocess.Popen([sys.executable, "-m", "kbert", "serve", *replaced], stderr=subprocess.PIPE) as process:
        try:
            deadline = time.monotonic() + 120
            while status("/health/ready")[0] != 200:
                assert process.poll() is None, process.stderr.read()
                assert time.monotonic() < deadline, "the server is not ready after two minutes"
                time.sleep(0.2)
            body = b'{"instances": ["a"]}'
            answers = {
                label: status(f"/v1/models/sentiment/labels/{label}:predict", body) for label in ("stable", "canary")
            }
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)
        finally:
            process.kill()
    assert {label: re.sub(rb"\s", b"", answer) for label, (_, answer) in answers.items()} == {
        "stable": b'{"predictions":[1]}',
        "canary": b'{"predictions":[2]}',
    }
