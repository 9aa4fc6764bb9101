"""The page in Chromium: a click gives the answers that the models themselves give."""

import numpy as np
import pytest

pytestmark = pytest.mark.browser


def percent(share):
    return f"{100 * share:.1f} %"


def test_a_classifier(page, predictors):
    text = "the cat sat on the mat !"
    page.ask("films", Text=text)
    (answer,) = predictors["films"].predict([text])
    ranked = sorted(answer["probabilities"].items(), key=lambda item: -item[1])
    assert page.bars() == [(label, percent(share)) for label, share in ranked]
    assert page.texts(".bars .chosen .name") == [answer["label"]]
    assert page.text("#summary") == answer["label"] + percent(ranked[0][1])
    assert page.texts("#facts li") == ["classification", "3 labels", "accuracy 0.912"]


@pytest.mark.parametrize(
    "text", ["😀 the cat 中文 sat on 👩‍👩‍👧 a slow mat .", "the cat", "  é\u0301 中 the dogs\n\nran 🎉 fast ! "]
)
def test_a_tagger_marks_texts_with_emoji_and_chinese(page, predictors, text):
    page.ask("entities", Text=text)
    (answer,) = predictors["entities"].predict([text])
    spans = answer["spans"]
    assert spans
    assert page.marks() == [span["text"] for span in spans] == [text[span["start"] : span["end"]] for span in spans]
    assert page.texts("mark .label") == [span["label"] for span in spans]
    assert page.texts("tbody td:nth-child(3)") == [percent(span["score"]) for span in spans]
    # Without the labels the text is the one that was typed.
    plain = page.page.locator(".marked").evaluate(
        "block => { block.querySelectorAll('.label').forEach(label => label.remove()); return block.textContent; }"
    )
    assert plain == text
    assert page.texts("#facts li")[1] == "2 labels"


def test_tags_of_words(page, predictors):
    text = "🐈 the cats ran , 中 !"
    page.ask("words", Text=text)
    (answer,) = predictors["words"].predict([text])
    assert page.marks() == [word["text"] for word in answer["words"]]
    assert page.texts("mark .label") == [word["tag"] for word in answer["words"]]


def test_question_answering(page, predictors):
    question, context = "the cat ?", "😀 the dogs ran , 中文 the cat sat on a mat . a slow dog ran fast"
    page.ask("questions", Question=question, Context=context)
    (answer,) = predictors["questions"].predict([question], [context])
    assert answer["answer"]
    assert page.marks() == [answer["answer"]] == [context[answer["start"] : answer["end"]]]
    assert page.text("#summary") == answer["answer"] + percent(answer["score"])
    best = answer["answers"][:5]
    assert page.texts(".answers button") == [other["answer"] + percent(other["score"]) for other in best]
    page.page.locator(".answers button").nth(1).press("Enter")
    assert page.marks() == [best[1]["answer"]]
    assert page.texts(".answers [aria-pressed=true]") == [best[1]["answer"] + percent(best[1]["score"])]


def test_an_embedding_search(page, predictors):
    lines = ["the cat sat", "a slow dog", "中文 😀", "the cat"]
    page.ask("sentences", Query="the cat", Texts_to_compare="\n".join([*lines[:2], "  ", *lines[2:], ""]))
    vectors = np.array([row["vector"] for row in predictors["sentences"].predict(["the cat", *lines])])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors[1:] @ vectors[0]
    order = np.argsort(-cosines)
    assert page.texts(".bars .name") == [lines[place] for place in order]
    shown = [float(value) for value in page.texts(".bars .value")]
    np.testing.assert_allclose(shown, cosines[order], atol=6e-4)
    assert page.text("#summary") == "Nearest: the cat"


def test_a_vector_alone(page):
    page.ask("sentences", Query="the cat", Texts_to_compare=" ")
    assert page.text("#summary") == "A vector of 32 numbers"


def test_several_labels(page, predictors):
    page.ask("genres", Text="a fast dog")
    (answer,) = predictors["genres"].predict(["a fast dog"])
    ranked = sorted(answer["probabilities"].items(), key=lambda item: -item[1])
    assert [name.removesuffix("given") for name in page.texts(".bars .name")] == [label for label, _ in ranked]
    assert page.texts(".bars .value") == [percent(share) for _, share in ranked]
    assert page.text("#summary") == (", ".join(answer["labels"]) or "No label")


def test_a_number_for_two_texts(page, predictors):
    page.ask("similarity", Text="the cat", Second_text="a dog ran")
    (answer,) = predictors["similarity"].predict(["the cat"], ["a dog ran"])
    assert float(page.text("#summary")) == pytest.approx(answer["value"], rel=1e-4)


def test_ranking(page, predictors):
    candidates = ["a slow dog", "the cat sat", "中文", "the mat ."]
    page.ask("documents", Query="the cat", Candidates="\n" + "\n".join(candidates))
    (answer,) = predictors["documents"].predict(["the cat"], [candidates])
    assert page.bars() == [(candidates[place], f"{answer['scores'][place]:.3f}") for place in answer["order"]]
    assert page.text("#summary") == f"Best: {answer['best']}"


def test_multiple_choice(page, predictors):
    choices = ["sat on the mat", "ran fast", "中"]
    page.ask("endings", Prompt="the cat", Choices="\n".join(choices))
    (answer,) = predictors["endings"].predict(["the cat"], [choices])
    assert page.bars() == list(zip(choices, map(percent, answer["probabilities"]), strict=True))
    assert page.texts(".chosen .name") == [answer["choice"]]


def test_summarization(page, predictors):
    sentences = ["the cat sat .", "a dog ran !", "中文 😀", "the mat , the dog"]
    page.ask("summaries", Sentences="\n".join(sentences))
    (answer,) = predictors["summaries"].predict([sentences])
    assert page.marks() == answer["sentences"]
    assert page.text("#summary") == answer["summary"]
    assert len(page.texts(".sentences li")) == 4


def test_masked_tokens(page, predictors):
    text = "😀 the [MASK] sat on [MASK] mat"
    page.ask("masks", Text=text)
    (answer,) = predictors["masks"].predict([text])
    best = [next(iter(pieces)) for pieces in answer["masks"]]
    assert page.text("#summary") == ", ".join(best)
    assert page.marks() == [piece.removeprefix("##") for piece in best]
    assert page.bars() == [(piece, percent(share)) for pieces in answer["masks"] for piece, share in pieces.items()]
