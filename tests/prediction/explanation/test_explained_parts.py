"""Explanations of a part of an answer: a tagged span, an answer in a context, a sentence, a generated text, a mask."""

import json

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from kbert import features
from kbert.cli.main import main
from kbert.errors import UsageError
from kbert.prediction.loading import load
from kbert.tasks.decoding.settings import Decoding
from kbert.tasks.generation import GenerationTask
from kbert.tasks.question_answering import QuestionAnsweringTask
from kbert.tasks.relations import RelationsTask
from kbert.tasks.summarization import SummarizationTask
from kbert.tasks.tagging import TaggingTask

pytestmark = pytest.mark.long

TAGS = ["O", "B-animal", "I-animal", "B-thing", "I-thing"]
LONG = "the cats sat on a mat . the dog ran fast , a slow cat sat on the mats , the dogs ran . unaffable !"
"""More tokens than the 24 of a row."""


def surfaces(explanation):
    return [word["word"] for word in explanation["words"]]


def total(explanation):
    return sum(word["score"] for word in explanation["words"])


@pytest.fixture(scope="module")
def tagger(tmp_path_factory, make_task_model):
    return load(make_task_model(tmp_path_factory.mktemp("tagger") / "run", TaggingTask(TAGS)))


def test_the_surest_span_is_explained(tagger):
    texts = ["The cats sat!", "a slow dog"]
    found = tagger.explain(texts)
    for explanation, prediction in zip(found, tagger.predict(texts), strict=True):
        best = max(prediction["spans"], key=lambda span: span["score"])
        assert [explanation[name] for name in ("label", "start", "end")] == [best["label"], best["start"], best["end"]]
        assert explanation["completeness_gap"] <= 0.01
    assert list(found[0]) == ["text", "label", "start", "end", "words", "completeness_gap"]
    assert surfaces(found[0]) == ["The", "cats", "sat", "!"]
    json.dumps(found)


def test_the_scores_add_up_to_the_change_of_the_log_odds(tagger):
    """The log odds with all words, and with [PAD] in their place, straight from the logits of the model."""
    (found,) = tagger.explain("the slow dog", label="thing", span=(4, 12))
    assert (found["label"], found["start"], found["end"]) == ("thing", 4, 12)
    odds = []
    for ids in ([2, 5, 14, 8, 3], [2, 0, 0, 0, 3]):  # [CLS] the slow dog [SEP]
        batch = {"input_word_ids": [ids], "input_mask": [[1] * 5], "input_type_ids": [[0] * 5]}
        logits = tagger.model({name: np.array(each, np.int32) for name, each in batch.items()})["logits"].numpy()[0]
        powers = np.exp(logits[2:4].astype(np.float64))
        odds.append(np.mean(np.log(powers[:, 3:].sum(-1) / powers[:, :3].sum(-1))))
    assert total(found) == pytest.approx(odds[0] - odds[1], rel=0.011)


def test_a_label_or_a_span_is_chosen(tagger):
    (animal,) = tagger.explain("the cats sat", label="animal", method="gradient-x-input")
    (thing,) = tagger.explain("the cats sat", label="thing", method="gradient-x-input")
    assert (animal["label"], thing["label"]) == ("animal", "thing")
    (found,) = tagger.explain("the cats sat", span=(4, 8), method="gradient-x-input")
    assert (found["start"], found["end"]) == (4, 8)
    # The label of a span is the likelier one: [CLS] the cat ##s sat [SEP].
    batch = {"input_word_ids": [[2, 5, 7, 15, 9, 3]], "input_mask": [[1] * 6], "input_type_ids": [[0] * 6]}
    logits = tagger.model({name: np.array(each, np.int32) for name, each in batch.items()})["logits"].numpy()[0, 2]
    animal, thing = np.exp(logits[1:3]).sum(), np.exp(logits[3:]).sum()
    assert found["label"] == ("animal" if animal > thing else "thing")
    with pytest.raises(UsageError, match=r"^span must be a part of the text: at least one character within its 12\. "):
        tagger.explain("the cats sat", span=(4, 13))
    with pytest.raises(UsageError, match=r"^span must hold a word of the text, and a mask for a pretrained model\. "):
        tagger.explain("the cats sat", span=(3, 4))
    with pytest.raises(UsageError, match=r"^label must be one of the labels animal, thing\. Received: label='x'$"):
        tagger.explain("the cats sat", label="x")
    with pytest.raises(UsageError, match=r"^sentence must be left out, since the answers of a model for tagging have "):
        tagger.explain("the cats sat", sentence=0)


def test_a_text_without_words(tagger):
    (found,) = tagger.explain("  ", method="gradient-x-input")
    assert (found["label"], found["start"], found["end"], found["words"]) == ("", 0, 0, [])
    assert found["completeness_gap"] == 0


def test_the_window_of_a_span(tagger):
    start = LONG.rindex("unaffable")
    (found,) = tagger.explain(LONG, span=(start, start + 9))
    assert surfaces(found)[-2:] == ["unaffable", "!"]
    assert len(found["words"]) < 23  # the words of the second window
    assert all(LONG[word["start"] : word["end"]] == word["word"] for word in found["words"])
    assert found["completeness_gap"] <= 0.01


def test_texts_of_words(tagger):
    assert tagger.explain([["the", "cats"]], method="gradient-x-input")[0]["text"] == "the cats"


def test_tags_of_words(tmp_path, make_task_model):
    model = load(make_task_model(tmp_path / "run", TaggingTask(["DET", "NOUN", "VERB"], per_word=True)))
    (found,) = model.explain("the cats sat", span=(4, 8))
    tags = {(word["start"], word["end"]): word["tag"] for word in model.predict("the cats sat")[0]["words"]}
    assert found["label"] == tags[4, 8]
    assert found["completeness_gap"] <= 0.01


def test_an_answer(tmp_path, make_task_model):
    model = load(make_task_model(tmp_path / "run", QuestionAnsweringTask()))
    (found,) = model.explain(["the cat ?"], ["a dog sat on the mat ."])
    (answer,) = model.predict(["the cat ?"], ["a dog sat on the mat ."])
    assert [found[name] for name in ("answer", "start", "end")] == [answer[name] for name in ("answer", "start", "end")]
    assert list(found)[:5] == ["question", "context", "answer", "start", "end"]
    assert [(word["word"], word["input"]) for word in found["words"]][:4] == [
        ("the", "question"),
        ("cat", "question"),
        ("?", "question"),
        ("a", "context"),
    ]
    assert found["completeness_gap"] <= 0.01
    logits = []
    for absent in (False, True):
        ids = np.array([[2, 5, 7, 1, 3, 6, 8, 9, 10, 5, 11, 20, 3]], np.int32)
        special = (ids == 2) | (ids == 3)
        types = np.array([[0] * 5 + [1] * 8], np.int32)
        batch = {"input_word_ids": np.where(absent & ~special, 0, ids), "input_mask": np.ones_like(ids)}
        outputs = model.model({**batch, "input_type_ids": types})
        words = [word for word in found["words"] if word["input"] == "context"]
        first = 5 + next(place for place, word in enumerate(words) if word["start"] == found["start"])
        last = 5 + next(place for place, word in enumerate(words) if word["end"] == found["end"])
        logits.append(float(outputs["start_logits"][0, first] + outputs["end_logits"][0, last]))
    assert total(found) == pytest.approx(logits[0] - logits[1], rel=0.011)
    # A part of the context that is in the second window.
    start = LONG.rindex("unaffable")
    (found,) = model.explain(["the cat ?"], [LONG], span=(start, start + 9))
    assert found["answer"] == "unaffable"
    assert all(
        LONG[word["start"] : word["end"]] == word["word"] for word in found["words"] if word["input"] != "question"
    )


def test_no_answer(tmp_path, make_task_model):
    task = QuestionAnsweringTask(impossible=True, null_threshold=-1e6)
    model = load(make_task_model(tmp_path / "run", task))
    (found,) = model.explain(["the cat ?"], [LONG])
    assert (found["answer"], found["start"], found["end"]) == ("", 0, 0)
    assert found["completeness_gap"] <= 0.01
    assert found["words"]


def test_the_sentence_of_a_summary(tmp_path, make_task_model):
    model = load(make_task_model(tmp_path / "run", SummarizationTask(1)))
    document = ["The cat sat .", "a dog ran !", "on the mat"]
    (found,) = model.explain([document])
    assert found["sentence"] == model.predict([document])[0]["indices"][0]
    assert [(word["word"], word["sentence"], word["start"]) for word in found["words"]][3:6] == [
        (".", 0, 12),
        ("a", 1, 0),
        ("dog", 1, 2),
    ]
    assert found["completeness_gap"] <= 0.01
    (second,) = model.explain([document], sentence=1)
    assert (second["sentence"], len(second["words"])) == (1, 11)
    assert second["value"] <= found["value"]
    with pytest.raises(UsageError, match=r"^sentence must be the index of a sentence, from 0 to 2\. Received: sent"):
        model.explain([document], sentence=3)


def test_a_sentence_of_a_long_document(tmp_path, make_task_model):
    model = load(make_task_model(tmp_path / "run", SummarizationTask(1)))
    document = ["the cat sat .", "a dog ran .", "the mat", "the unaffable dogs ran", "a cat sat", "on a mat , slow"] * 2
    (found,) = model.explain([document], sentence=9, method="gradient-x-input")
    assert {word["sentence"] for word in found["words"]} >= {9}
    assert len(found["words"]) < 24
    for word in found["words"]:
        assert document[word["sentence"]][word["start"] : word["end"]] == word["word"]


def test_a_generated_text(tmp_path, make_task_model):
    model = load(make_task_model(tmp_path / "run", GenerationTask(Decoding(max_target=6, min_target=2))))
    texts = ["The cats sat on the mat", "a dog"]
    found = model.explain(texts)
    assert [each["generated"] for each in found] == [each["generated"] for each in model.predict(texts)]
    assert surfaces(found[0]) == ["The", "cats", "sat", "on", "the", "mat"]
    assert max(each["completeness_gap"] for each in found) <= 0.01


def test_the_log_probability_of_a_generated_text(tmp_path, make_task_model):
    """The change of the log probability of all tokens and of the end, computed with the model as it is trained."""
    model = load(make_task_model(tmp_path / "run", GenerationTask(Decoding(max_target=6, min_target=2))))
    (found,) = model.explain(["a dog"])
    encoded = model.task.encode(model.text_model.encode, {"text": tf.constant(["a dog"])})
    written = model.text_model.outputs(encoded)
    length = int(written["lengths"][0, 0])
    target = written["ids"][0, 0, :length].numpy().tolist()
    wanted = [*target, 3] if length < 6 else target
    numbers = []
    for source in ([2, 6, 8, 3], [2, 0, 0, 3]):
        ids = np.array([source + target], np.int32)
        types = np.array([[0] * 4 + [1] * length], np.int32)
        positions = np.arange(3, 3 + len(wanted), dtype=np.int32)[None]
        batch = {"input_word_ids": ids, "input_mask": np.ones_like(ids), "input_type_ids": types}
        logits = model.model({**batch, features.MASKED_LM_POSITIONS.name: positions})["mlm_logits"]
        numbers.append(float(sum(tf.nn.log_softmax(logits)[0, place, token] for place, token in enumerate(wanted))))
    assert total(found) == pytest.approx(numbers[0] - numbers[1], rel=0.011)


def test_a_relation(tmp_path, make_task_model):
    model = load(make_task_model(tmp_path / "run", RelationsTask(["on", "near", "none"])))
    marked = "the <e1>cats</e1> sat on the <e2>mat</e2>"
    (found,) = model.explain([marked])
    (answer,) = model.predict([marked])
    assert found["label"] == answer["relation"]
    assert (found["head"], found["tail"]) == ([4, 8], [20, 23])
    assert surfaces(found) == ["the", "cats", "sat", "on", "the", "mat"]
    assert found["completeness_gap"] <= 0.01
    assert model.explain([marked], label="near", method="gradient-x-input")[0]["label"] == "near"


def test_a_mask(pretrained):
    model = load(pretrained)
    text = "the [MASK] sat on a [MASK] ."
    (found,) = model.explain(text)
    places = [(4, 10), (20, 26)]
    place = places.index((found["start"], found["end"]))
    masks = [next(iter(pieces.items())) for pieces in model.predict(text)[0]["masks"]]
    assert masks[place] == max(masks, key=lambda mask: mask[1])
    assert found["label"] == masks[place][0]
    assert surfaces(found) == ["the", "sat", "on", "a", "."]
    assert found["completeness_gap"] <= 0.01
    (other,) = model.explain(text, span=places[1 - place], method="gradient-x-input")
    assert other["label"] == masks[1 - place][0]
    (none,) = model.explain("the cat", method="gradient-x-input")
    assert (none["label"], none["completeness_gap"]) == ("", 0)


def test_the_command(tmp_path, make_task_model):
    run = make_task_model(tmp_path / "run", TaggingTask(TAGS))
    page = tmp_path / "page.html"
    arguments = [str(run), "the cats sat", "--span", "4:8", "--label", "animal", "--method", "gradient-x-input"]
    done = CliRunner().invoke(main, ["explain", *arguments])
    assert done.stdout.startswith("animal 'cats'\tthe("), done.output
    done = CliRunner().invoke(main, ["explain", *arguments, "--html", str(page)])
    assert done.exit_code == 0, done.output
    assert "mean log odds of the label over the words of the span" in page.read_text()
