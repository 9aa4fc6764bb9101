"""The switch "Why?" of the page: the words have the scores of the models themselves."""

import pytest

pytestmark = pytest.mark.browser


def explained(page):
    """The heading, and the words with their titles and whether they speak for the answer."""
    page.page.wait_for_selector(".why")
    marks = page.page.locator(".why mark").evaluate_all(
        "marks => marks.map(mark => [mark.textContent, mark.title, mark.className])"
    )
    return page.text(".why > h3"), [tuple(mark) for mark in marks]


def expected(words):
    return [
        (word["word"], f"{word['score']:+.3f}", "speaks-for" if word["score"] > 0 else "speaks-against")
        for word in words
    ]


def same(found, wanted):
    """Whether words have the same scores up to the rounding of the last digit."""
    return [word[0] for word in found] == [word[0] for word in wanted] and all(
        abs(float(one[1]) - float(other[1])) < 2e-3 for one, other in zip(found, wanted, strict=True)
    )


def ask_why(page, model, **texts):
    page.choose(model)
    page.page.get_by_label("Why?").check()
    page.ask(model, **texts)


def test_a_label_and_another_one(page, predictors):
    text = "😀 the cat sat on the mat !"
    ask_why(page, "films", Text=text)
    (wanted,) = predictors["films"].explain([text])
    heading, words = explained(page)
    assert heading == f"Why {wanted['label']}"
    assert same(words, expected(wanted["words"]))
    other = next(label for label in ("bad", "fine", "good") if label != wanted["label"])
    page.page.locator(".why .answers").get_by_text(other, exact=True).click()
    page.page.locator(".why > h3").filter(has_text=f"Why {other}").wait_for()
    assert same(explained(page)[1], expected(predictors["films"].explain([text], label=other)[0]["words"]))
    # Without color, the words still differ by their lines.
    styles = page.page.locator(".why mark").evaluate_all(
        "marks => marks.map(mark => [mark.className, getComputedStyle(mark).textDecorationStyle])"
    )
    assert {tuple(style) for style in styles} == {("speaks-for", "solid"), ("speaks-against", "dashed")}


def test_a_span_and_another_one(page, predictors):
    text = "the cat 中文 sat on a slow mat . the dogs"
    ask_why(page, "entities", Text=text)
    (wanted,) = predictors["entities"].explain([text])
    heading, words = explained(page)
    assert heading == f"Why {wanted['label']}: {text[wanted['start'] : wanted['end']]}"
    assert same(words, expected(wanted["words"]))
    spans = predictors["entities"].predict([text])[0]["spans"]
    other = next(span for span in spans if span["start"] != wanted["start"])
    place = spans.index(other)
    page.page.locator(".why .answers button").nth(place).click()
    page.page.locator(".why > h3").filter(has_text=f": {other['text']}").wait_for()
    (wanted,) = predictors["entities"].explain([text], span=(other["start"], other["end"]))
    assert same(explained(page)[1], expected(wanted["words"]))


def test_an_answer(page, predictors):
    question, context = "the cat ?", "😀 the dogs ran , the cat sat on a mat ."
    ask_why(page, "questions", Question=question, Context=context)
    (wanted,) = predictors["questions"].explain([question], [context])
    heading, words = explained(page)
    assert heading == f"Why {wanted['answer']}"
    assert same(words, expected(wanted["words"]))


def test_a_model_without_the_signature_has_no_switch(page):
    page.choose("genres")
    assert page.page.get_by_label("Why?").is_hidden()
