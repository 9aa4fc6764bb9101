"""Model folders are untrusted: a folder with any contents is either loaded or refused with a one-line error."""

import contextlib
import json
import random
import resource
import shutil
import sys

import pytest
import safetensors.numpy

from kbert.errors import KbertError
from kbert.model_folder.bundle import Bundle
from kbert.prediction.loading import load
from kbert.pretrained.loading import check_loadable
from kbert.tasks.factories import task_from_bundle

VALUES = [
    None,
    True,
    -1,
    0,
    1,
    2,
    3,
    10**9,
    10**18,
    10**400,
    -(2**63),
    0.5,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "x" * 100_000,
    "a\nb\0\u202e",
    "../../etc/passwd",
    [],
    [[]],
    {},
    {"a": {"b": []}},
    [1, "2", None],
    list(range(10_000)),
    "gelu",
    "bert",
    "BertForTokenClassification",
    "F16",
]


class Mutator:
    """Damages one file of a model folder, at random."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def mutate(self, folder):
        """Gives the name of the file that it damaged."""
        path = self.random.choice(sorted(path for path in folder.iterdir() if path.name != "README.md"))
        content = path.read_bytes()
        if path.suffix == ".json" and self.random.random() < 0.7:
            content = self.edited_json(content)
        elif path.suffix == ".safetensors" and self.random.random() < 0.6:
            length = int.from_bytes(content[:8], "little")
            header = self.edited_json(content[8 : 8 + length])
            claimed = len(header) if self.random.random() < 0.9 else self.random.choice([0, 10**6, 2**63, 2**64 - 1])
            content = claimed.to_bytes(8, "little") + header + content[8 + length :]
        else:
            content = self.edited_bytes(content)
        path.write_bytes(content)
        return path.name

    def edited_bytes(self, content):
        data = bytearray(content)
        for _ in range(self.random.choice([1, 1, 2, 10])):
            start = self.random.randrange(len(data) + 1)
            end = min(len(data), start + self.random.choice([1, 1, 8, 100, 10_000]))
            kind = self.random.randrange(5)
            if kind == 0 and start < len(data):
                data[start] ^= 1 << self.random.randrange(8)
            elif kind == 1:
                del data[start:end]
            elif kind == 2:
                data[start:start] = self.random.randbytes(end - start)
            elif kind == 3:
                data[start:start] = data[start:end]
            else:
                data[start:end] = b"\0" * (end - start)
        if self.random.random() < 0.2:
            del data[self.random.randrange(len(data) + 1) :]
        return bytes(data)

    def edited_json(self, content):
        value = json.loads(content)
        for _ in range(self.random.choice([1, 1, 1, 3])):
            value = self.edited(value)
        return json.dumps(value).encode()

    def edited(self, value):
        """Changes one place of a JSON value: replaces, removes, renames, doubles."""
        if isinstance(value, dict) and value and self.random.random() < 0.9:
            key = self.random.choice(sorted(value))
            value = dict(value)
            kind = self.random.random()
            if kind < 0.15:
                del value[key]
            elif kind < 0.3:
                other = self.random.choice([*sorted(value), "unknown", "x" * 10_000, "a\nb"])
                value[other] = value.pop(key)
            elif kind < 0.4:
                value["new key"] = self.random.choice(VALUES)
            else:
                value[key] = self.edited(value[key])
            return value
        if isinstance(value, list) and value and self.random.random() < 0.8:
            place = self.random.randrange(len(value))
            return [*value[:place], self.edited(value[place]), *value[place + 1 :]]
        if isinstance(value, int) and self.random.random() < 0.4:
            return value + self.random.choice([-1, 1, 10**6])
        return self.random.choice(VALUES)


@pytest.fixture
def originals(tmp_path, classifier, pretrained):
    """A classifier, a pretraining model, and a classifier in two shards."""
    shards = shutil.copytree(classifier, tmp_path / "shards")
    tensors = sorted(safetensors.numpy.load_file(shards / "model.safetensors").items())
    (shards / "model.safetensors").unlink()
    places = {}
    for index in range(2):
        name = f"model-0000{index + 1}-of-00002.safetensors"
        part = dict(tensors[index::2])
        safetensors.numpy.save_file(part, shards / name)
        places |= dict.fromkeys(part, name)
    (shards / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return [classifier, pretrained, shards]


@pytest.mark.parametrize("count", [400, pytest.param(10_000, marks=pytest.mark.slow)])
def test_mutated_bundles_load_or_are_refused_with_one_line(tmp_path, originals, count):
    for original in originals:
        check_loadable(Bundle.load(original))
    folder = tmp_path / "mutated"
    refused = loaded = 0
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in range(count):
        mutator = Mutator(seed)
        shutil.copytree(mutator.random.choice(originals), folder)
        name = mutator.mutate(folder)
        try:
            bundle = Bundle.load(folder)
            if bundle.settings.get("task"):
                task_from_bundle(bundle, folder)
            else:
                check_loadable(bundle)
            loaded += 1
        except KbertError as error:
            refused += 1
            message = str(error)
            assert "\n" not in message, (seed, name, message)
            assert 10 < len(message) < 1_000, (seed, name, message[:2_000])
        except Exception as error:
            raise AssertionError(f"seed {seed}, {name}: {error!r}") from error
        shutil.rmtree(folder)
    assert refused > count / 2
    assert loaded > count / 50
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / (1 if sys.platform == "darwin" else 1024)
    assert grown < 100, f"memory grew by {grown:.0f} MB"


@pytest.mark.long
def test_mutated_classifiers_answer_or_are_refused(tmp_path, classifier):
    """The whole way to an answer, on folders that look sound enough to build a model of."""
    answered = []
    for seed in range(12):
        folder = shutil.copytree(classifier, tmp_path / str(seed))
        Mutator(1000 + seed).mutate(folder)
        with contextlib.suppress(KbertError):
            answered += load(folder).predict(["the cat"])
    assert answered
