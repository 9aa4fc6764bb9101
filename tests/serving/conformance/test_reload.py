import time

import grpc
import pytest
from conformance import grpc_models
from conformance.client import call, check_grpc, config_entry, request
from conformance.table import Grpc

PREDICT = 'model_spec {{ name: "{}" {} }} inputs {{ key: "x" value {{ dtype: DT_FLOAT float_val: 6 }} }}'


@pytest.fixture(scope="module")
def small(models, start):
    """A server whose only model is half_plus_two."""
    with start(f"model_config_list {{ {config_entry('half_plus_two', models / 'half_plus_two')} }}") as server:
        yield server


def reload(server, *entries, more=""):
    return call(server, "HandleReloadConfigRequest", f"config {{ model_config_list {{ {' '.join(entries)} }} }} {more}")


def predicted(server, model, more="", output="y"):
    return list(call(server, "Predict", PREDICT.format(model, more)).outputs[output].float_val)


def code_of(server, model):
    try:
        call(server, "Predict", PREDICT.format(model, ""))
    except grpc.RpcError as problem:
        return problem.code().name
    return "OK"


@pytest.mark.parametrize("row", grpc_models.RELOAD_ROWS, ids=lambda row: row.name)
def test_a_refused_configuration_changes_nothing(small, models, row):
    check_grpc(small, Grpc(**{**vars(row), "request": row.request.replace("/MODELS", str(models))}))
    assert predicted(small, "half_plus_two") == [5.0]


def test_models_come_and_go_with_the_configuration(small, models):
    # server_core.cc: the call returns once new models are available; what the new list leaves out is unloaded.
    half = config_entry("half_plus_two", models / "half_plus_two")
    response = reload(small, half, config_entry("added", models / "versions"))
    assert (response.status.error_code, response.status.error_message) == (0, "")
    assert predicted(small, "added") == [9.0]
    assert predicted(small, "half_plus_two") == [5.0]
    reload(small, half)
    deadline = time.monotonic() + 20
    while code_of(small, "added") == "OK" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert code_of(small, "added") == "NOT_FOUND"
    assert predicted(small, "half_plus_two") == [5.0]


def test_a_new_version_policy_applies_at_once(small, models):
    half = config_entry("half_plus_two", models / "half_plus_two")
    policy = "model_version_policy { specific { versions: 1 versions: 3 } }"
    reload(small, half, config_entry("chosen", models / "versions", policy))
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        status = call(small, "GetModelStatus", 'model_spec { name: "chosen" }').model_version_status
        if [(each.version, each.state) for each in status] == [(3, 30), (1, 30)]:  # 30 is AVAILABLE
            break
        time.sleep(0.1)
    assert predicted(small, "chosen", "version { value: 1 }") == [7.0]
    assert predicted(small, "chosen") == [9.0]
    assert request(small, "POST", "/v1/models/chosen/versions/2:predict", '{"instances": [6]}').status == 404


@pytest.mark.long
def test_a_reload_counts_the_metrics_that_it_is_asked_for(small, models):
    # model_service_impl.cc: a metric that nobody counts has an increase of zero.
    response = reload(
        small, config_entry("half_plus_two", models / "half_plus_two"), more='metric_names: "/nobody/counts/this"'
    )
    assert [(metric.name, metric.int64_value_increase) for metric in response.metric] == [("/nobody/counts/this", 0)]


def test_a_label_moves_with_the_configuration(models, start):
    # server_core_test.cc: labels are set and moved by reloads.
    versions, policy = models / "versions", "model_version_policy { all { } }"
    with start(f"model_config_list {{ {config_entry('versions', versions, policy)} }}") as server:
        for version, expected in ((1, 7.0), (2, 8.0)):
            label = f'version_labels {{ key: "stable" value: {version} }}'
            reload(server, config_entry("versions", versions, f"{policy} {label}"))
            assert predicted(server, "versions", 'version_label: "stable"') == [expected]
        reload(server, config_entry("versions", versions, policy))
        with pytest.raises(grpc.RpcError, match="Unrecognized servable version label: stable"):
            predicted(server, "versions", 'version_label: "stable"')


def test_a_label_needs_an_available_version(models, start):
    with start(f"model_config_list {{ {config_entry('half_plus_two', models / 'half_plus_two')} }}") as server:
        row = grpc_models.LABEL_RELOAD_ROW
        check_grpc(server, Grpc(**{**vars(row), "request": row.request.replace("/MODELS", str(models))}))
        assert predicted(server, "half_plus_two") == [5.0]
