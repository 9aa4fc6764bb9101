"""The losses of distillation, for a model of each task."""

import json

import numpy as np
import pytest
import tensorflow as tf
from every_task import TASKS

from kbert.models.encoder import BertEncoder
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer
from kbert.training.data.batches import LengthBucketedBatches
from kbert.training.distillation.objective import RELATION_LOSS, SOFT_LOSS, DistillationObjective
from kbert.training.distillation.relations import RelationModel
from kbert.training.distillation.teacher_outputs import TeacherOutputs
from kbert.training.distillation.unlabelled import rows_without_targets, with_unlabelled

ANSWERS = [{"text": "cat", "answer_start": 4}]
QUESTIONS = [{"id": f"q{number}", "question": "the cat", "answers": ANSWERS} for number in range(2)]
FILES = {
    "classification": ("c.csv", "text,label\nthe cat,a\na dog sat,b\n"),
    "pairs": ("c.csv", "text,pair,label\nthe cat,a dog,a\na dog sat,the,b\n"),
    "multilabel": ("c.csv", "text,label\nthe cat,x\na dog,x|y\n"),
    "tagging": ("c.conll", "the O\ncat B-P\nsat I-P\n\nthe O\ncats B-P\n"),
    "tagging with a CRF": ("c.conll", "the O\ncat B-P\nsat I-P\n\nthe O\ncats B-P\n"),
    "tagging of words": ("c.conll", "the DET\ncats NOUN\nsat VERB\n\nthe DET\ncat NOUN\n"),
    "question answering": (
        "c.json",
        json.dumps({"data": [{"title": "", "paragraphs": [{"context": "the cat sat .", "qas": QUESTIONS}]}]}),
    ),
    "regression": ("c.csv", "text,label\nthe cat,1.5\na dog sat,2\n"),
    "ranking": (
        "c.csv",
        "query,candidate,label\nthe cat,a cat sat,1\nthe cat,a dog,0\nthe dog,a dog,1\nthe dog,mat,0\n",
    ),
    "multiple choice": (
        "c.jsonl",
        '{"prompt": "the cat", "choices": ["sat", "ran"], "label": 1}\n'
        '{"prompt": "a dog", "choices": ["fast", "slow"], "label": 0}\n',
    ),
    "summarization": (
        "c.jsonl",
        json.dumps({"text": ["the cat sat .", "a dog ran ."], "label": [1, 0]}) + "\n",
    ),
    "relations": (
        "c.jsonl",
        '{"text": "the cat sat", "head": [4, 7], "tail": [8, 11], "relation": "Other"}\n'
        '{"text": "a fast dog ran", "head": [7, 10], "tail": [2, 6], "relation": "eats(e2,e1)"}\n',
    ),
    "semantic roles": (
        "c.jsonl",
        '{"text": "the cat sat", "predicates": [{"start": 8, "end": 11, "sense": "sit.01", "roles": '
        '[{"start": 0, "end": 7, "role": "ARG0"}]}]}\n{"text": "a dog", "predicates": []}\n',
    ),
    "embedding": ("c.csv", "text,pair\nthe cat,a dog\nthe mat,on a mat sat\n"),
}


@pytest.mark.long
@pytest.mark.parametrize("name", FILES)  # all but generation, which has no outputs to learn
def test_a_student_that_equals_its_teacher_has_no_loss(name, vocabulary, small_config, tmp_path):
    """Half of the items have no labels; those of a batch without any labels count as well."""
    task = TASKS[name]()
    file, text = FILES[name]
    (tmp_path / file).write_text(text)
    examples = task.keep_valid(task.read_examples(tmp_path / file), tmp_path / file)
    encode = GraphEncoder(Tokenizer(vocabulary).to_graph(), 24)
    labelled = task.training_rows(examples, encode)
    rows = with_unlabelled(labelled, rows_without_targets(task, task.texts_of(examples), encode))
    model = RelationModel(task.build(BertEncoder(small_config, pooled=task.pooled, skip_padding=True)), 1)
    outputs = TeacherOutputs(tmp_path / "outputs", "teacher", rows)
    outputs.compute(model, task.soft_outputs, sequence_length=24, pad_id=0, relations=True)
    rows = type(rows)(
        rows.ids,
        rows.type_ids,
        {**rows.targets, **outputs.targets(task.soft_outputs, relations=True)},
        rows.group_sizes,
    )
    objective = DistillationObjective(
        task,
        temperature=2.0,
        logit_weight=1.0,
        relation_weight=1.0,
        label_weight=0.5,
        relation_heads=2,
        some_unlabelled=True,
    )
    batches = LengthBucketedBatches(rows, batch_size=2, steps=1, sequence_length=24)
    own = task.losses[0]
    for items, has_labels in ((np.arange(len(rows)), True), (np.arange(len(labelled), len(rows)), False)):
        batch = {key: tf.constant(value) for key, value in batches.batch(items).items()}
        sums, weights = objective.loss_sums(model(batch, training=False), batch), objective.loss_weights(batch)
        assert sums.keys() == weights.keys()
        assert set(objective.losses) == {SOFT_LOSS, RELATION_LOSS, *task.losses}
        assert float(sums[SOFT_LOSS]) == pytest.approx(0.0, abs=1e-4)
        assert float(sums[RELATION_LOSS]) == pytest.approx(0.0, abs=1e-3)  # of float16
        assert float(weights[SOFT_LOSS]) >= 1.0
        assert (float(sums[own]) > 0) == has_labels
        assert np.isfinite(float(sums[own]))
