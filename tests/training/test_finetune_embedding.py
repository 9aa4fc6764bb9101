import json

import numpy as np
import pytest

from kbert.conversion.vocabulary_extension import extend_vocabulary
from kbert.errors import UsageError
from kbert.model_folder.sentence_files import read_modules
from kbert.model_folder.sentence_transformers import SentenceModules
from kbert.prediction.loading import load
from kbert.training.finetune import finetune


def write(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def pairs(tmp_path):
    animals, places = ["cat", "dog", "mat", "the", "a"], ["sat", "ran", "fast", "slow", "on"]
    rows = [f"{a} {b},{b} {a}" for a in animals for b in places]
    return write(tmp_path, "pairs.csv", "text,pair\n" + "\n".join(rows) + "\n")


def run(table, output, model, **options):
    settings = {"batch_size": 8, "learning_rate": 1e-3, "sequence_length": 8, "show_progress": False}
    return finetune(
        "embedding",
        model=model,
        train=table,
        validation=table,
        output=output,
        **settings | {"pair_column": "pair"} | options,
    )


@pytest.mark.long
def test_pairs_are_learnt(tmp_path, pairs, pretrained):
    whole = run(pairs, tmp_path / "whole", pretrained, epochs=8)
    assert whole["mrr"] > 0.8
    # The loss is measured while a model is trained.
    assert load(tmp_path / "whole").evaluate(pairs, pair_column="pair") | {"loss": whole["loss"]} == whole


def without_times(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [
        {name: value for name, value in row.items() if name not in ("seconds", "tokens_per_second", "mfu")}
        for row in rows
    ]


@pytest.mark.slow
def test_a_resumed_run_is_the_same(tmp_path, pairs, pretrained):
    options = {"epochs": 2, "checkpoint_every": 4, "log_every": 2}
    run(pairs, tmp_path / "whole", pretrained, **options)
    run(pairs, tmp_path / "cut", pretrained, **options)
    rows = without_times(tmp_path / "cut")
    for path in (tmp_path / "cut" / "checkpoints").iterdir():
        if path.name.endswith(("7.safetensors", "6.safetensors")):
            path.unlink()
    run(pairs, tmp_path / "cut", pretrained, **options, resume=True)
    assert without_times(tmp_path / "cut") == rows
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]


def test_in_batch_negatives_need_the_whole_batch(tmp_path, pairs, pretrained):
    with pytest.raises(
        UsageError,
        match=r"^this training of embedding compares all texts of a batch, which must be on one device: give "
        r"accumulation=1 and strategy='one'\. Received: accumulation=2, 1 replicas$",
    ):
        run(pairs, tmp_path / "run", pretrained, accumulation=2)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_unsupervised_runs_on_lines_of_text(tmp_path, pairs, pretrained):
    lines = write(tmp_path, "lines.txt", "the cat sat\na dog ran\nfast mat\nslow dog\n" * 3)
    settings = {"batch_size": 4, "sequence_length": 8, "show_progress": False, "epochs": 1, "pair_column": "pair"}
    metrics = finetune(
        "embedding", model=pretrained, train=lines, validation=pairs, output=tmp_path / "run", **settings
    )
    assert 0 < metrics["mrr"] <= 1


@pytest.mark.long
def test_fine_tuning_takes_what_the_model_says_and_writes_it(tmp_path, make_sentence_folder):
    start = make_sentence_folder(
        tmp_path / "m",
        pooling={"word_embedding_dimension": 32, "pooling_mode": "max"},
        library={"prompts": {"long": "slow "}, "default_prompt_name": "long"},
    )
    table = write(tmp_path, "a.csv", "text,pair\nthe cat,a cat\nthe dog,a dog\nthe mat,a mat\n")
    settings = {"train": table, "validation": table, "pair_column": "pair", "epochs": 1, "sequence_length": 12}
    finetune("embedding", model=start, output=tmp_path / "run", show_progress=False, **settings)
    task = load(tmp_path / "run").task
    assert (task.pooling, task.prompts, task.prompt, task.pair_prompt) == ("max", {"long": "slow "}, "slow ", "slow ")
    assert read_modules(tmp_path / "run", 32) == SentenceModules(
        "max", True, 12, prompts={"long": "slow ", "query": "slow ", "document": "slow "}, default_prompt="query"
    )
    vectors = load(tmp_path / "run").answers(["the cat"])["vector"]
    # Without kbert.json it is a model of sentence-transformers.
    (tmp_path / "run" / "kbert.json").rename(tmp_path / "kbert.json")
    np.testing.assert_array_equal(load(tmp_path / "run").answers(["the cat"])["vector"], vectors)
    (tmp_path / "kbert.json").rename(tmp_path / "run" / "kbert.json")
    finetune(
        "embedding",
        model=tmp_path / "run",
        output=tmp_path / "next",
        show_progress=False,
        pooling="cls",
        prompt="fast ",
        pair_prompt="",
        **settings,
    )
    task = load(tmp_path / "next").task
    assert (task.pooling, task.prompt, task.pair_prompt) == ("cls", "fast ", "")


@pytest.mark.slow
def test_a_vocabulary_may_be_extended_before_fine_tuning(tmp_path, make_sentence_folder):
    start = make_sentence_folder(
        tmp_path / "m",
        path="0_Transformer",
        pooling={"pooling_mode_cls_token": True},
        transformer={"max_seq_length": 9},
        library={"prompts": {"query": "slow "}, "default_prompt_name": "query"},
    )
    extend_vocabulary(start, inputs=[write(tmp_path, "t.txt", "cats mats\n" * 9)], add=1, output=tmp_path / "more")
    table = write(tmp_path, "a.csv", "text,pair\nthe cat,a cat\nthe dog,a dog\nthe mat,a mat\n")
    for model in (start, tmp_path / "more"):
        output = tmp_path / f"run_{model.name}"
        settings = {"train": table, "validation": table, "pair_column": "pair", "epochs": 1, "show_progress": False}
        finetune("embedding", model=model, output=output, **settings)
        found = load(output)
        assert (found.task.pooling, found.task.prompt, found.sequence_length) == ("cls", "slow ", 9)
