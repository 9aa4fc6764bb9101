import pytest

from kbert.errors import ServingError
from kbert.serving.monitoring.config import read_monitoring_path


def read(tmp_path, text):
    path = tmp_path / "monitoring.txt"
    path.write_text(text)
    return read_monitoring_path(path)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('prometheus_config { enable: true, path: "/metrics" }', "/metrics"),
        ("prometheus_config { enable: true }", "/monitoring/prometheus/metrics"),
        ('prometheus_config { enable: false, path: "/metrics" }', ""),
        ('prometheus_config: { path: "/metrics" }', ""),
        ("", ""),
    ],
)
def test_the_path_of_the_metrics(tmp_path, text, path):
    assert read(tmp_path, text) == path


@pytest.mark.parametrize("path", ["metrics", "/v1/models/a"])
def test_a_path_that_cannot_be_served_is_told(tmp_path, path):
    with pytest.raises(
        ServingError, match=rf"expected a path that begins with / and is not below /v1/\. Received: {path}$"
    ):
        read(tmp_path, f'prometheus_config {{ enable: true path: "{path}" }}')


def test_a_bad_file_is_told(tmp_path):
    with pytest.raises(
        ServingError, match=r"monitoring\.txt: Error parsing text-format tensorflow\.serving\.MonitoringConfig"
    ):
        read(tmp_path, "prometheus { }")
    with pytest.raises(ServingError, match=r"^expected a file of monitoring settings\. Received: "):
        read_monitoring_path(tmp_path / "none")
