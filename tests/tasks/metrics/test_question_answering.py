import random

import pytest

from kbert.tasks.metrics import question_answering as metrics


def test_words_by_hand():
    assert metrics.normalize_answer(" The  cat's, a hat!") == "cats hat"
    assert metrics.exact_match("the Cat.", "cat") == 1
    assert metrics.f1("the black cat", "a cat sat") == pytest.approx(0.5)
    assert metrics.f1("", "") == 1
    assert metrics.f1("", "cat") == 0
    assert metrics.best(metrics.f1, ["dog", "cat"], "cat") == 1
    assert metrics.best(metrics.f1, [], "cat") == 0
    assert metrics.best(metrics.f1, [], "") == 1


def test_characters_by_hand():
    assert metrics.character_exact_match("北京，上海", "北京上海。") == 1
    assert metrics.character_f1("北京大学", "北京") == pytest.approx(2 * 1 * 0.5 / 1.5)
    # The longest stretch in common, not all characters in common: 1 of 3 in both.
    assert metrics.character_f1("甲乙丙", "丙甲丁") == pytest.approx(1 / 3)
    assert metrics.character_f1("1998年 NBA 总决赛", "nba总决赛") == pytest.approx(2 * 1 * (4 / 6) / (1 + 4 / 6))
    assert metrics.character_f1("10,000人", "10,000") == pytest.approx(2 * 1 * 0.5 / 1.5)  # a number is one piece
    assert metrics.character_f1("12%", "12.5%") == pytest.approx(0.5)
    assert metrics.character_f1("一,二.", "一二") == pytest.approx(2 * 0.5 * 0.25 / 0.75)
    assert metrics.character_exact_match("你好…", "你好") == 0  # the script's list has two of them, as one entry
    assert metrics.is_by_characters(["北京", "BERT 模型", "x"])
    assert not metrics.is_by_characters(["Beijing", "北京"])


def test_the_best_threshold_by_hand():
    # Right answers at -2 and 1; the questions at 0 and 3 have none: answering up to 1 gains 2 and loses 1.
    assert metrics.best_threshold([-2.0, 1.0, 0.0, 3.0], [1, 1, 0, 0], [False, False, True, True]) == -2.0
    assert metrics.best_threshold([-2.0, 1.0, 1.0, 0.0, 3.0], [1, 1, 1, 0, 0], [False] * 3 + [True] * 2) == 1.0
    assert metrics.best_threshold([-2.0, 0.0, 3.0], [1, 0, 0], [False, True, True]) == -2.0
    assert metrics.best_threshold([-2.0, 0.0], [0, 0], [True, True]) == -3.0
    assert metrics.best_threshold([], [], []) == 0.0


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
def test_words_equal_those_of_the_squad_script(request):
    squad = pytest.importorskip("torchmetrics.functional.text.squad").squad
    torch = pytest.importorskip("torch")
    request.addfinalizer(lambda: torch.set_default_dtype(torch.float32))
    torch.set_default_dtype(torch.float64)  # it hands the script's numbers on as tensors
    rng = random.Random(0)
    words = "the a an cat Cat cat's dog. , - U.S. 42 naïve 中文 \u00a0 and".split(" ")
    for _ in range(1000):
        true = [" ".join(rng.choices(words, k=rng.randrange(1, 5))) + " cat" for _ in range(rng.randrange(1, 4))]
        found = " ".join(rng.choices(words, k=rng.randrange(1, 5))) + " dog"
        if rng.random() < 0.3:
            found = true[-1].upper()
        expected = squad(
            {"prediction_text": found, "id": "1"},
            {"answers": {"answer_start": [0] * len(true), "text": true}, "id": "1"},
        )
        assert 100 * metrics.best(metrics.f1, true, found) == pytest.approx(float(expected["f1"]), rel=0, abs=1e-9)
        assert 100 * metrics.best(metrics.exact_match, true, found) == float(expected["exact_match"])


def test_no_threshold_does_better():
    rng = random.Random(1)
    for _ in range(1000):
        count = rng.randrange(1, 12)
        impossible = [rng.random() < 0.4 for _ in range(count)]
        differences = [float(rng.randrange(-3, 4)) for _ in range(count)]
        scores = [0.0 if none else rng.random() for none in impossible]

        def total(threshold):
            rows = zip(scores, differences, impossible, strict=True)  # noqa: B023
            return sum(score if difference <= threshold else float(none) for score, difference, none in rows)

        threshold = metrics.best_threshold(differences, scores, impossible)
        assert total(threshold) == pytest.approx(max(total(place + 0.5) for place in range(-5, 5)))
