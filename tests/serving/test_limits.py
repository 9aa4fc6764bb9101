from kbert.serving.limits import Limits


def test_open_requests_have_their_time_when_the_server_stops():
    assert Limits(seconds=120.0).grace_seconds == 125.0
    assert Limits(seconds=0.0).grace_seconds is None
