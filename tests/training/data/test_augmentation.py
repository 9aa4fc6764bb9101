import pytest

from kbert.errors import DataError, UsageError
from kbert.model_folder.bundle import Bundle
from kbert.tasks.text_task import Example
from kbert.training.data.augmentation import MaskedWords, with_augmentation
from kbert.training.finetune import finetune
from kbert.training.options import FinetuneOptions

EXAMPLES = [Example("the cat sat on the mat .", None, "yes", 2), Example("The dog ran [MASK]", None, "no", 3)]


def add(model, **options):
    defaults = {"augment": "masked", "augment_copies": 2, "seed": 3, "train": "train.csv", "output": "run"}
    return with_augmentation(EXAMPLES, FinetuneOptions(model=model, **defaults | options))


@pytest.mark.long
def test_a_word_becomes_another_of_the_vocabulary(pretrained):
    examples = add(pretrained)
    assert examples[:2] == EXAMPLES
    assert len(examples) == 4  # the text that has a mask of its own is left alone
    vocabulary = set(Bundle.load(pretrained).tokenizer.vocabulary)
    for copy in examples[2:]:
        assert (copy.target, copy.line) == ("yes", 2)
        pairs = list(zip(copy.text.split(), EXAMPLES[0].text.split(), strict=True))
        changed = [new for new, old in pairs if new != old]
        assert len(changed) == 1
        assert set(changed) <= vocabulary
    assert add(pretrained) == examples
    assert add(pretrained, seed=4) != examples


@pytest.mark.long
def test_a_model_that_predicts_no_words(tmp_path, pretrained, cats_and_dogs, quick):
    finetune("classification", output=tmp_path / "run", **cats_and_dogs, **quick)
    for model in (tmp_path / "run", "tiny"):
        with pytest.raises(UsageError, match=r"^augment='masked' needs a pretrained --model, which predicts words; "):
            MaskedWords(model)


def test_another_way_than_there_is(pretrained):
    with pytest.raises(UsageError, match=r"^augment must be one of masked\. Received: augment='shuffled'$"):
        add(pretrained, augment="shuffled")


def test_synonyms_of_other_texts(tmp_path, pretrained):
    path = tmp_path / "synonyms.txt"
    path.write_text("Katze Kater\n")
    with pytest.raises(DataError, match=r"synonyms\.txt: expected words that occur in the training texts"):
        add(pretrained, augment=None, synonyms=path)


@pytest.mark.long
def test_a_run_learns_from_the_copies(tmp_path, cats_and_dogs, quick, told):
    (tmp_path / "synonyms.txt").write_text("cat mat\n")
    finetune("classification", output=tmp_path / "run", synonyms=tmp_path / "synonyms.txt", **cats_and_dogs, **quick)
    assert "12 changed copies of training texts added" in told()
    assert "36 rows, 5 steps" in (tmp_path / "run" / "README.md").read_text()
