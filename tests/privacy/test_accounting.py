import pytest

from kbert.errors import UsageError
from kbert.privacy.accounting import PRIVACY_LOSS, RENYI, best_accountant, epsilon, noise_for

ROWS, BATCH = 67_349, 1_024
STEPS = 198  # three epochs
DELTA = 1 / (2 * ROWS)


def test_the_figure_for_sst2():
    assert epsilon(1.0, BATCH / ROWS, STEPS, DELTA) == pytest.approx(1.822, abs=1e-3)


def test_more_steps_and_more_rows_cost_more():
    assert epsilon(1.0, BATCH / ROWS, 2 * STEPS, DELTA) > 1.83
    assert epsilon(1.0, 2 * BATCH / ROWS, STEPS, DELTA) > 1.83
    assert epsilon(1.1, BATCH / ROWS, STEPS, DELTA) < 1.82


@pytest.mark.parametrize("wanted", [0.1, 3.0, 8.0, 50.0])
def test_the_noise_is_the_smallest_that_is_enough(wanted):
    noise = noise_for(wanted, BATCH / ROWS, STEPS, DELTA)
    assert epsilon(noise, BATCH / ROWS, STEPS, DELTA) <= wanted
    assert epsilon(0.998 * noise, BATCH / ROWS, STEPS, DELTA) > wanted


def test_all_rows_in_each_step():
    assert noise_for(3.0, 1.0, 10, 1e-5) > noise_for(3.0, 0.5, 10, 1e-5)


def test_an_epsilon_that_is_out_of_reach():
    with pytest.raises(UsageError, match=r"^no noise gives an epsilon of 1e-09 in 1,000 steps; give a larger one$"):
        noise_for(1e-9, 0.5, 1000, 1e-9)


@pytest.mark.peers
@pytest.mark.parametrize(("rate", "noise", "steps"), [(0.0152, 1.0, 198), (0.1, 0.7, 50), (0.001, 0.6, 3000)])
def test_dp_accounting_agrees(rate, noise, steps):
    accounting = pytest.importorskip("dp_accounting")
    rdp = pytest.importorskip("dp_accounting.rdp")
    event = accounting.SelfComposedDpEvent(
        accounting.PoissonSampledDpEvent(rate, accounting.GaussianDpEvent(noise)), steps
    )
    assert best_accountant() == PRIVACY_LOSS
    own = epsilon(noise, rate, steps, 1e-5)
    # Its own orders are fewer, and some of them do not converge.
    assert own == pytest.approx(rdp.RdpAccountant().compose(event).get_epsilon(1e-5), rel=3e-3)
    tighter = epsilon(noise, rate, steps, 1e-5, PRIVACY_LOSS)
    assert 0.6 * own < tighter < own


@pytest.mark.peers
def test_the_noise_by_dp_accounting_is_lower():
    pytest.importorskip("dp_accounting")
    noise = noise_for(3.0, BATCH / ROWS, STEPS, DELTA, PRIVACY_LOSS)
    assert 0.8 < noise / noise_for(3.0, BATCH / ROWS, STEPS, DELTA, RENYI) < 1.0
    assert epsilon(noise, BATCH / ROWS, STEPS, DELTA, PRIVACY_LOSS) <= 3.0
