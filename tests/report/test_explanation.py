from kbert.report.explanation import coloured_text, explanation_page
from kbert.tasks.classification import ClassificationTask
from kbert.tasks.summarization import SummarizationTask


def test_words_have_the_colours_of_their_scores():
    words = [{"start": 0, "end": 3, "score": 2.0}, {"start": 4, "end": 5, "score": -1.0}]
    assert coloured_text("bad < film", words) == (
        '<p class="example"><mark class="for level-10" title="+2.0000">bad</mark> '
        '<mark class="against level-5" title="-1.0000">&lt;</mark> film</p>'
    )


def test_a_text_without_words():
    assert coloured_text("", []) == '<p class="example"></p>'


def test_the_page_of_pairs():
    explanation = {
        "text": "the cat",
        "pair": "a dog",
        "label": "good",
        "words": [
            {"word": "cat", "start": 4, "end": 7, "score": 1.0, "input": "text"},
            {"word": "dog", "start": 2, "end": 5, "score": -0.5, "input": "pair"},
        ],
        "completeness_gap": 0.004,
    }
    page = explanation_page([explanation], ClassificationTask(["bad", "good"], paired=True), "occlusion")
    assert page.startswith("<!DOCTYPE html>")
    assert "its part of the log odds of the label, by the method occlusion" in page
    assert ">cat</mark>" in page
    assert '<mark class="against level-5" title="-0.5000">dog</mark>' in page
    assert "within 0.40% of it" in page


def test_the_page_of_sentences():
    explanation = {
        "document": ["the cat", "a dog"],
        "sentence": 1,
        "value": 0.5,
        "words": [
            {"word": "cat", "start": 4, "end": 7, "score": -1.0, "sentence": 0},
            {"word": "dog", "start": 2, "end": 5, "score": 2.0, "sentence": 1},
        ],
        "completeness_gap": 0.0,
    }
    page = explanation_page([explanation], SummarizationTask(1), "occlusion")
    assert "<h2>sentence 1: 0.5000</h2>" in page
    assert '<p class="example">the <mark class="against level-5" title="-1.0000">cat</mark></p>' in page
    assert '<p class="example">a <mark class="for level-10" title="+2.0000">dog</mark></p>' in page
