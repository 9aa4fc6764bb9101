from kbert.report.page import join
from kbert.report.scores import scores_of


def test_numbers_alone():
    (table,) = scores_of({"exact_match": 0.5, "examples": 1200, "best": True, "note": "x"})
    assert table == (
        '<table><tr><td>exact match</td><td class="number">0.5</td></tr>'
        '<tr><td>examples</td><td class="number">1,200</td></tr></table>'
    )


def test_many_labels_are_listed_by_their_confusions():
    labels = [f"label {index}" for index in range(61)]
    matrix = [[0] * 61 for _ in labels]
    matrix[3][5], matrix[7][2], matrix[1][1] = 4, 9, 50
    html = join(scores_of({"labels": labels, "confusion_matrix": matrix}))
    assert "the 2 most frequent confusions" in html
    assert html.index("label 7") < html.index("label 3")
    assert "50" not in html


def test_a_reliability_plot():
    bins = [
        {"from": 0.4, "to": 0.6, "confidence": 0.5, "accuracy": 0.25, "examples": 4},
        {"from": 0.8, "to": 1.0, "confidence": 0.9, "accuracy": 1.0, "examples": 2},
    ]
    html = join(scores_of({"reliability": bins}))
    assert 'aria-label="Reliability"' in html
    assert html.count("<polyline") == 2
    assert "<td>0.40 to 0.60</td>" in html


def test_the_worst_examples():
    worst = [
        {"line": 1200, "text": "<b>", "expected": ["a", "b"], "predicted": []},
        {"line": 3, "text": "c", "pair": "d", "expected": ["a"], "predicted": ["b"]},
    ]
    html = join(scores_of({"worst_examples": worst}))
    assert "<th>line</th><th>text</th><th>expected</th><th>predicted</th><th>pair</th>" in html
    assert "<td>1200</td><td>&lt;b&gt;</td><td>a | b</td>" in html


def test_nothing_that_is_known():
    assert scores_of({"per_class": [], "labels": None}) == []


def test_a_risk_coverage_curve():
    curve = [{"coverage": 0.5, "risk": 0.0, "confidence": 0.9}, {"coverage": 1.0, "risk": 0.25, "confidence": 0.5}]
    html = join(scores_of({"risk_coverage": curve}))
    assert 'aria-label="Risk and coverage"' in html
    assert "<td>50.0%</td><td>0.00%</td>" in html
