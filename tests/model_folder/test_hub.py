"""Downloads of models by name, from a test server with the hub's endpoints for listings and files."""

import hashlib
import http.server
import json
import re
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
import safetensors.numpy

import kbert
from kbert.errors import BundleError, HubError, UsageError
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.hub import is_hub_name, resolve

constants = pytest.importorskip("huggingface_hub.constants")

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """A hub on this machine: folders by repository; gated repositories; every request that came."""

    def __init__(self):
        self.repositories = {}
        self.gated = set()
        self.commit = COMMIT
        self.ill = False
        self.requests = []
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                hub.answer(self, body=True)

            def do_HEAD(self):
                hub.answer(self, body=False)

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request, *, body):
        path = request.path.partition("?")[0]
        self.requests.append(path)
        if self.ill:
            self.refuse(request, 503, "")
            return
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            repository, revision, name = found.groups()
            if not self.allowed(request, repository, revision):
                return
            file = self.repositories[repository] / name
            if file.is_file():
                self.send(request, file.read_bytes(), body)
            else:
                self.refuse(request, 404, "EntryNotFound")
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(revision|tree)/([^/]+)", path):
            repository, what, revision = found.groups()
            # The listing of a gated repository is public.
            if self.exists(request, repository, revision):
                listed = self.listing(repository)
                content = {
                    "id": repository,
                    "sha": self.commit,
                    "siblings": [{"rfilename": each["path"]} for each in listed],
                }
                self.send(request, json.dumps(listed if what == "tree" else content).encode(), body)
        else:
            self.refuse(request, 404, "")

    def listing(self, repository):
        folder = self.repositories[repository]
        found = sorted(path for path in folder.rglob("*") if path.is_file())
        return [
            {"type": "file", "path": str(path.relative_to(folder)), "size": path.stat().st_size, "oid": "0" * 40}
            for path in found
        ]

    def exists(self, request, repository, revision):
        if repository not in self.repositories:
            self.refuse(request, 404, "RepoNotFound")
        elif revision not in ("main", "v1", self.commit):
            self.refuse(request, 404, "RevisionNotFound")
        else:
            return True
        return False

    def allowed(self, request, repository, revision):
        if repository in self.gated:
            self.refuse(request, 403, "GatedRepo")
            return False
        return self.exists(request, repository, revision)

    def send(self, request, content, body):
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        request.send_header("X-Repo-Commit", self.commit)
        request.end_headers()
        if body:
            request.wfile.write(content)

    def refuse(self, request, status, code):
        request.send_response(status)
        request.send_header("X-Error-Code", code)
        if code == "EntryNotFound":
            request.send_header("X-Repo-Commit", self.commit)
        request.send_header("Content-Length", "0")
        request.end_headers()


@pytest.fixture
def hub(tmp_path, monkeypatch, classifier, pretrained):
    """A hub with kbert/classifier and kbert/pretrained, and an empty cache."""
    hub = Hub()
    hub.repositories = {
        "kbert/classifier": shutil.copytree(classifier, tmp_path / "hub" / "classifier"),
        "kbert/pretrained": shutil.copytree(pretrained, tmp_path / "hub" / "pretrained"),
    }
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    yield hub
    hub.server.shutdown()
    hub.server.server_close()


@pytest.mark.parametrize("path", ["model", "hf:/model", "HF://a/b", ""])
def test_other_paths_are_left_as_they_are(tmp_path, path):
    assert not is_hub_name(path)
    assert resolve(tmp_path / path) == tmp_path / path


def test_text_and_safetensors_are_downloaded_and_nothing_else(hub):
    folder = hub.repositories["kbert/classifier"]
    for name in ("pytorch_model.bin", "model.weights.h5", "code.py"):
        (folder / name).write_bytes(b"0")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "config.json").write_text("{}")
    found = resolve("hf://kbert/classifier")
    wanted = {"config.json", "vocab.txt", "tokenizer.json", "tokenizer_config.json", "model.safetensors"}
    wanted |= {"kbert.json", "README.md"}
    assert {path.name for path in found.iterdir()} == wanted
    assert (found / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert not any(path.endswith((".bin", ".h5", ".py")) for path in hub.requests)
    assert not any("/onnx/" in path for path in hub.requests)


def test_a_revision_is_asked_for(hub):
    resolve("hf://kbert/classifier@v1")
    assert "/api/models/kbert/classifier/revision/v1" in hub.requests
    assert f"/kbert/classifier/resolve/{COMMIT}/model.safetensors" in hub.requests
    with pytest.raises(HubError, match=r"^hf://kbert/classifier@v2: the repository has no revision v2$"):
        resolve("hf://kbert/classifier@v2")


def test_what_was_downloaded_is_there_without_the_hub(hub, monkeypatch):
    folder = resolve("hf://kbert/classifier")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert resolve("hf://kbert/classifier") == folder


def test_no_hub_and_nothing_in_the_cache(hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        HubError, match=r"^hf://kbert/classifier: the hub cannot be reached and the model is not in the cache: connect"
    ):
        resolve("hf://kbert/classifier")


def test_nothing_is_asked_for_twice(hub):
    resolve("hf://kbert/classifier")
    hub.requests.clear()
    resolve("hf://kbert/classifier")
    assert hub.requests[0] == "/api/models/kbert/classifier/revision/main"
    # Listings may be asked for again, files are not.
    assert all(path.startswith("/api/models/kbert/classifier/") for path in hub.requests)


def test_a_new_commit_is_followed(hub, monkeypatch):
    old = resolve("hf://kbert/classifier")
    hub.commit = "f" * 40
    (hub.repositories["kbert/classifier"] / "README.md").write_text("new")
    new = resolve("hf://kbert/classifier")
    assert (old.name, new.name) == ("0123456789abcdef0123456789abcdef01234567", "f" * 40)
    assert (new / "README.md").read_text() == "new"


def test_a_hub_that_is_ill(hub):
    hub.ill = True
    with pytest.raises(HubError, match=r"^hf://kbert/classifier: the hub answered with status 503; try again later$"):
        resolve("hf://kbert/classifier")


@pytest.mark.slow
def test_an_unfinished_download_is_not_taken_for_a_model(hub, monkeypatch):
    folder = resolve("hf://kbert/classifier")
    (folder / "model.safetensors").unlink()
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match=r"^hf://kbert/classifier: (the hub cannot be reached|expected model\.safe)"):
        resolve("hf://kbert/classifier")
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    assert (resolve("hf://kbert/classifier") / "model.safetensors").is_file()


def test_no_bars_without_a_terminal(hub, capfd, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", None)
    resolve("hf://kbert/classifier")
    assert capfd.readouterr() == ("", "")


def test_sharded_weights_are_downloaded(hub):
    folder = hub.repositories["kbert/classifier"]
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-00001-of-00001.safetensors"}}))
    found = resolve("hf://kbert/classifier")
    assert (found / "model-00001-of-00001.safetensors").is_file()
    assert (found / index.name).is_file()


@pytest.mark.parametrize("shard", ["../../x.safetensors", "/etc/passwd", "pytorch_model.bin", "a\\b.safetensors"])
def test_an_index_that_names_other_files(hub, shard):
    folder = hub.repositories["kbert/classifier"]
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": shard}}))
    with pytest.raises(HubError, match=r"must name \.safetensors files beside it\. Received: "):
        resolve("hf://kbert/classifier")


def test_a_repository_that_is_not_there(hub):
    with pytest.raises(HubError, match=r"^hf://kbert/nothing: the hub has no such repository, or it is private"):
        resolve("hf://kbert/nothing")


def test_a_gated_repository(hub):
    hub.gated.add("kbert/classifier")
    with pytest.raises(HubError, match=r"^hf://kbert/classifier: its owner must let you in: accept its terms"):
        resolve("hf://kbert/classifier")


def test_weights_of_pytorch_are_downloaded_where_there_are_no_others(hub):
    folder = hub.repositories["kbert/classifier"]
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    found = resolve("hf://kbert/classifier")
    assert (found / "pytorch_model.bin").read_bytes() == (folder / "pytorch_model.bin").read_bytes()
    (hub.repositories["kbert/pretrained"] / "model.safetensors").unlink()
    with pytest.raises(
        HubError, match=r"expected model\.safetensors or pytorch_model\.bin\. The repository has neither$"
    ):
        resolve("hf://kbert/pretrained")


def test_a_repository_without_a_model(hub):
    (hub.repositories["kbert/classifier"] / "config.json").unlink()
    with pytest.raises(HubError, match=r"expected a model with config\.json"):
        resolve("hf://kbert/classifier")


@pytest.mark.parametrize("name", ["hf://", "hf://a/b/c", "hf://a b", "hf://../x/y", "hf://a/b@", "hf://a--b/c..d"])
def test_a_name_that_cannot_be(hub, name):
    with pytest.raises(UsageError, match=r"^(expected hf://owner/name or|hf://a--b/c\.\.d: )") as problem:
        resolve(name)
    assert "\n" not in str(problem.value)
    assert not hub.requests


def test_without_huggingface_hub(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(
        UsageError, match=r"^hf://a/b is on the Hugging Face Hub, which needs: pip install 'kbert\[hub\]'$"
    ):
        resolve("hf://a/b")


@pytest.mark.long
def test_kbert_load(hub, classifier):
    theirs = kbert.load("hf://kbert/classifier").predict(["the cat", "a dog"])
    assert theirs == kbert.load(classifier).predict(["the cat", "a dog"])


@pytest.mark.long
@pytest.mark.parametrize("path", ["", "0_Transformer"])
def test_a_model_of_sentence_transformers(hub, tmp_path, make_sentence_folder, monkeypatch, path):
    folder = make_sentence_folder(
        tmp_path / "hub" / "vectors",
        path=path,
        transformer={"max_seq_length": 9},
        library={"prompts": {"query": "the "}},
    )
    (folder / path / "pytorch_model.bin").write_bytes(b"0")
    hub.repositories["kbert/vectors"] = folder
    expected = kbert.load(folder).predict(["a cat"])
    assert kbert.load("hf://kbert/vectors").predict(["a cat"]) == expected
    assert kbert.load("hf://kbert/vectors").task.prompts == {"query": "the "}
    assert not any(name.endswith(".bin") for name in hub.requests)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert kbert.load("hf://kbert/vectors").sequence_length == 9


@pytest.mark.long
def test_a_fine_tuning_starts_from_the_hub(hub, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("text,label\n" + "the cat,yes\na dog,no\n" * 4)
    kbert.finetune(
        "classification",
        model="hf://kbert/pretrained",
        train=table,
        validation=table,
        output=tmp_path / "run",
        batch_size=8,
        epochs=1,
        sequence_length=16,
        show_progress=False,
    )
    with pytest.raises(HubError, match=r"no such repository"):
        kbert.finetune(
            "classification", model="hf://kbert/no", train=table, validation=table, output=tmp_path / "other"
        )
    assert not (tmp_path / "other").exists()


@pytest.mark.long
def test_a_pretraining_goes_on_from_the_hub(hub, tmp_path, corpus):
    kbert.pretrain(
        corpus=corpus,
        model="hf://kbert/pretrained",
        output=tmp_path / "run",
        steps=1,
        batch_size=4,
        show_progress=False,
    )
    assert kbert.Bundle.load(tmp_path / "run").architecture == "BertForPreTraining"


def test_a_conversion_starts_from_the_hub(hub, tmp_path):
    assert kbert.convert("hf://kbert/pretrained", tmp_path / "out", to="google").source_format == "bundle"
    assert (tmp_path / "out" / "bert_model.ckpt.index").is_file()


def run(hub, tmp_path, *arguments):
    """The program, as a user runs it."""
    environment = {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "home"),
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
    }
    return subprocess.run(
        [sys.executable, "-m", "kbert", *arguments], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.long
def test_the_program_takes_names_of_the_hub(hub, tmp_path):
    result = run(hub, tmp_path, "inspect", "hf://kbert/classifier", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["labels"] == ["bad", "fine", "good"]
    result = run(hub, tmp_path, "predict", "hf://kbert/nothing", "the cat")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("Error: hf://kbert/nothing: the hub has no such repository")


def test_a_bundle_error_names_the_folder(hub):
    for name in ("vocab.txt", "tokenizer.json"):
        (hub.repositories["kbert/classifier"] / name).unlink()
    with pytest.raises((BundleError, kbert.KbertError), match=r"vocab\.txt"):
        kbert.load("hf://kbert/classifier")


def test_an_adapter_and_its_base_model_are_downloaded(hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # no folder here has the name of the repository
    folder = tmp_path / "hub" / "adapter"
    folder.mkdir()
    layer = "base_model.model.bert.encoder.layer.0.attention.self.query"
    width = Bundle.load(hub.repositories["kbert/pretrained"]).config.hidden_size
    matrices = {f"{layer}.lora_A.weight": np.ones((1, width), np.float32)}
    matrices[f"{layer}.lora_B.weight"] = np.ones((width, 1), np.float32)
    safetensors.numpy.save_file(matrices, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "lora_alpha": 2, "base_model_name_or_path": "kbert/pretrained"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    hub.repositories["kbert/adapter"] = folder
    adapted = Bundle.load(resolve("hf://kbert/adapter"))
    base = Bundle.load(resolve("hf://kbert/pretrained"))
    name = "bert.encoder.layer.0.attention.self.query.weight"
    np.testing.assert_allclose(adapted.tensors[name], base.tensors[name] + 2, rtol=1e-6)
    (folder / "adapter_model.safetensors").unlink()
    hub.commit = COMMIT[::-1]
    with pytest.raises(
        HubError, match=r"expected one of adapter_model.safetensors, .*pytorch_adapter.bin. The repository has none$"
    ):
        resolve("hf://kbert/adapter")
