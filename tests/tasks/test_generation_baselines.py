from kbert.tasks.generation_baselines import baselines, best_baseline
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
