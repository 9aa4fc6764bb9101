from kbert.tasks import generation_baselines
from kbert.tasks.generation_baselines import baselines, best_baseline, nearest_targets
from kbert.tasks.readers.generation import GenerationExample

TRAIN = [GenerationExample("the cat sat", ("die Katze",)), GenerationExample("a dog ran", ("ein Hund",))]


def test_the_answers_of_the_baselines():
    assert baselines(TRAIN, ["The cat sat down. It slept.", "two dogs ran"]) == {
        "copies the text": ["The cat sat down. It slept.", "two dogs ran"],
        "takes the first sentence": ["The cat sat down.", "two dogs ran"],
        "takes the target of the nearest training text": ["die Katze", "ein Hund"],
    }


def test_the_best_one_is_compared_with():
    asked = [GenerationExample("a cat sat", ("die Katze",)), GenerationExample("dogs", ("ein Hund",))]
    name, metrics = best_baseline(TRAIN, asked, "chrf", lowercase=False)
    assert (name, metrics["chrf"], metrics["examples"]) == ("takes the target of the nearest training text", 100.0, 2)
    copied = [GenerationExample("a cat. It sat", ("a cat.",))]
    assert best_baseline(TRAIN, copied, "chrf", lowercase=False)[0] == "takes the first sentence"


def test_a_sample_of_many_training_texts_is_compared(monkeypatch):
    words = "cat dog mat sun sky tea fox hen owl bee".split()
    train = [GenerationExample(word, (word.upper(),)) for word in words]
    assert nearest_targets(train, words) == [word.upper() for word in words]
    monkeypatch.setattr(generation_baselines, "_MOST_KNOWN", 3)
    found = nearest_targets(train, words)
    assert len(set(found)) == 3
    assert found == nearest_targets(train, words)
