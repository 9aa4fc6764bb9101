import pytest

from kbert.tasks.metrics.generation import generation_metrics, is_chinese


def test_metrics_of_english_texts():
    metrics = generation_metrics([["the cat sat on it"], ["a dog", "a dog ran"]], ["the cat sat on it", "a dog a dog"])
    assert metrics["bleu_signature"] == "case:mixed|tok:13a|smooth:exp"
    assert metrics["rouge1"] == pytest.approx((1 + 2 / 3) / 2)
    assert metrics["distinct1"] == pytest.approx(7 / 9)
    assert metrics["distinct2"] == pytest.approx(6 / 7)
    assert metrics["length_ratio"] == pytest.approx(9 / 8)  # the nearest reference has three words
    assert metrics["bleu"] == pytest.approx(100 * (7 / 9 * 5 / 7 * 3 / 5 * 2 / 3) ** 0.25)


def test_chinese_is_compared_by_characters():
    metrics = generation_metrics([["白日依山尽"]], ["白日依山近"])
    assert metrics["bleu_signature"] == "case:mixed|tok:zh|smooth:exp"
    assert metrics["bleu"] == pytest.approx(100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25)
    assert metrics["rouge1"] == pytest.approx(0.8)
    assert is_chinese(["用 BERT 写中文诗"])
    assert not is_chinese(["BERT 写", "123"])


def test_case_is_ignored_for_a_model_that_writes_lower_case():
    metrics = generation_metrics([["The Cat Sat On It"]], ["the cat sat on it"], lowercase=True)
    assert (metrics["bleu"], metrics["chrf"]) == (pytest.approx(100), pytest.approx(100))
    assert metrics["bleu_signature"] == "case:lc|tok:13a|smooth:exp"
