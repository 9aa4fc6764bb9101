import json
import re
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

from kbert.errors import BundleError, DataError, UsageError
from kbert.prediction.loading import load
from kbert.retrieval.build import build_index
from kbert.retrieval.index import Index
from kbert.retrieval.search import measure_search, search

TEXTS = ["the cat sat", "a dog ran", "the mat", "slow cats", "fast dogs ran on", "the cat"]


@pytest.fixture(scope="module")
def documents(tmp_path_factory):
    path = tmp_path_factory.mktemp("documents") / "docs.jsonl"
    path.write_text("".join(json.dumps({"id": f"d{n}", "text": text}) + "\n" for n, text in enumerate(TEXTS)))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory, documents, embedder):
    output = tmp_path_factory.mktemp("index") / "i"
    seen = []
    assert build_index(embedder, input=documents, output=output, progress=lambda *counts: seen.append(counts)) == 6
    assert seen == [(6, 6)]
    return output


@pytest.fixture(scope="module")
def index(folder):
    return Index(folder)


def test_a_document_is_found_by_its_own_text(index):
    assert len(index) == 6
    for number, (result, _) in enumerate(index.search(TEXTS, top=2)):
        assert result["id"] == f"d{number}"
        assert (result["rank"], result["text"]) == (1, TEXTS[number])
        assert result["score"] == pytest.approx(1, abs=1e-5)


def test_results_are_those_of_all_cosines(index, embedder):
    vectors = index.predictor.answers([*TEXTS, "dogs"])["vector"]
    cosines = vectors[:-1] @ vectors[-1]
    (results,) = index.search(["dogs"], top=100)
    assert [result["id"] for result in results] == [f"d{n}" for n in np.argsort(-cosines, kind="stable")]
    assert [result["score"] for result in results] == pytest.approx(sorted(cosines.tolist(), reverse=True), abs=1e-5)


def test_parts_and_ties_change_nothing(index, monkeypatch):
    rng = np.random.default_rng(0)
    vectors = rng.integers(-1, 2, (500, 3)).astype(np.float32)  # many of them equal
    queries = rng.normal(size=(4, 3)).astype(np.float32)
    monkeypatch.setattr(index, "vectors", vectors)
    monkeypatch.setattr(index, "offsets", np.zeros(500))
    wanted = np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :7]
    for size in (3, 100, 10_000):
        monkeypatch.setattr("kbert.retrieval.index.COMPARED_AT_ONCE", size)
        scores, places = index.nearest(queries, 7)
        np.testing.assert_array_equal(places, wanted)
        np.testing.assert_allclose(scores, np.take_along_axis(queries @ vectors.T, wanted, 1), atol=1e-6)
    monkeypatch.setattr("kbert.retrieval.index._SCORES_AT_ONCE", 40)  # of four queries: ten documents at a time
    np.testing.assert_array_equal(index.nearest(queries, 7)[1], wanted)


@pytest.mark.long
def test_half_the_space_and_a_graph(tmp_path, documents, embedder, index):
    pytest.importorskip("faiss")
    output = tmp_path / "i"
    build_index(embedder, input=documents, output=output, dtype="float16", ann=True)
    small = Index(output)
    assert small.vectors.dtype == np.float16
    for ann in (False, True):
        found = small.search(["dogs ran"], top=6, ann=ann)
        assert [result["id"] for result in found[0]] == [
            result["id"] for result in index.search(["dogs ran"], top=6)[0]
        ]


def test_documents_that_are_skipped_are_told(tmp_path, embedder, logged):
    path = tmp_path / "docs.jsonl"
    path.write_text('{"id": "a", "text": "the cat"}\n{"id": "a", "text": "a dog"}\n{"id": "b", "text": ""}\n')
    assert build_index(embedder, input=path, output=tmp_path / "i", skip_bad=2) == 1
    (told,) = logged()
    first = f"{path}:2: the id 'a' must appear once; it is in line 1 too"
    assert told == f"{path}: 2 bad rows were skipped; the first: {first}; the next: {path}:3"


def test_the_same_documents_give_the_same_bytes(tmp_path, documents, embedder, folder):
    build_index(embedder, input=documents, output=tmp_path / "i")
    for name in ("vectors.npy", "texts.jsonl", "offsets.npy"):
        assert (tmp_path / "i" / name).read_bytes() == (folder / name).read_bytes()


def test_measuring_on_a_collection(tmp_path, index, logged):
    queries = tmp_path / "q.jsonl"
    queries.write_text("".join(json.dumps({"id": f"q{n}", "text": text}) + "\n" for n, text in enumerate(TEXTS[:2])))
    judgements = tmp_path / "qrels.txt"
    judgements.write_text("q0 0 d0 1\nq1 0 d1 2\nq1 0 elsewhere 1\nq9 0 d1 1\n")
    metrics = measure_search(index, queries, judgements)
    assert metrics["queries"] == 2
    assert (metrics["mrr"], metrics["recall@1"]) == (1.0, 0.75)
    left_out = f"1 of 3 judged queries are left out, since they are not in {queries} (first: 'q9')"
    assert logged() == [f"{judgements}: {left_out}"]
    judgements.write_text("q9 0 d1 1\n")
    with pytest.raises(
        DataError,
        match=r"qrels\.txt: expected judgements of the queries in .*q\.jsonl\. Received: none; give the qrels",
    ):
        measure_search(index, queries, judgements)


@pytest.mark.slow
def test_results_are_put_in_order_by_a_ranker(index, ranker, embedder):
    (plain,) = search(index, ["the dog"], top=6)
    (ranked,) = search(index, ["the dog"], top=3, rerank=ranker)
    (answer,) = load(ranker).predict(["the dog"], [[result["text"] for result in plain]])
    assert [result["text"] for result in ranked] == [plain[place]["text"] for place in answer["order"][:3]]
    assert [result["rank"] for result in ranked] == [1, 2, 3]
    (shallow,) = search(index, ["the dog"], top=6, rerank=ranker, depth=2)
    assert {result["text"] for result in shallow[:2]} == {result["text"] for result in plain[:2]}
    assert shallow[2:] == plain[2:]
    assert [result["rank"] for result in shallow] == [1, 2, 3, 4, 5, 6]
    with pytest.raises(
        UsageError,
        match=r"^rerank must be a model of `kbert finetune ranking`, or a cross-encoder\. .*, a model for embedding$",
    ):
        search(index, ["the dog"], rerank=embedder)


def test_a_bare_encoder_is_no_re_ranker(index, pretrained):
    """The message names no option that `kbert search` does not have."""
    from kbert.cli.search import search as command

    with pytest.raises(
        UsageError, match=r"^rerank must be .*, a BertForPreTraining without a head that ranks$"
    ) as raised:
        search(index, ["the dog"], rerank=pretrained)
    options = {option for parameter in command.params for option in parameter.opts}
    assert set(re.findall(r"--[a-z-]+", raised.value.command_line_message)) <= options
    with pytest.raises(UsageError, match=r"^depth must be at least 1\. Received: depth=0$"):
        search(index, ["the dog"], rerank=pretrained, depth=0)


def test_what_cannot_be(tmp_path, documents, embedder, classifier, folder, index):
    with pytest.raises(
        UsageError,
        match=r"^expected a model of `kbert finetune embedding` .* Received: .*, which is for classification$",
    ):
        build_index(classifier, input=documents, output=tmp_path / "i")
    with pytest.raises(
        UsageError, match=r"^output must be a new folder\. Received: .*, which exists; remove it, or name another$"
    ):
        build_index(embedder, input=documents, output=folder)
    with pytest.raises(UsageError, match=r"^dtype must be one of float32, float16\. Received: dtype='int8'$"):
        build_index(embedder, input=documents, output=tmp_path / "i", dtype="int8")
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"id": 1, "text": "x"}\n{"id": 2}\n')
    with pytest.raises(DataError, match=r"bad\.jsonl:2: expected "):
        build_index(embedder, input=bad, output=tmp_path / "i")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.jsonl"]
    with pytest.raises(UsageError, match=r"which has none; build it with `kbert index build --ann`$"):
        index.search(["x"], ann=True)
    with pytest.raises(UsageError, match=r"^top must be at least 1\. Received: top=0$"):
        index.search(["x"], top=0)


def test_a_damaged_index(tmp_path, folder, embedder, classifier):
    import shutil

    with pytest.raises(
        BundleError, match=r"^expected the weights that .* was built with\. Received: .*; build the index again$"
    ):
        Index(folder, model=classifier)
    copy = shutil.copytree(folder, tmp_path / "i")
    np.save(copy / "vectors.npy", np.zeros((5, 32), np.float32))
    with pytest.raises(
        BundleError,
        match=r"vectors\.npy: expected float32 \[6, 32\]\. Received: float32 \[5, 32\]; build the index again$",
    ):
        Index(copy)
    (copy / "vectors.npy").write_bytes(b"no array")
    with pytest.raises(BundleError, match=r"vectors\.npy is damaged \("):
        Index(copy)
    settings = json.loads((copy / "index.json").read_text())
    (copy / "index.json").write_text(json.dumps(settings | {"model": "/nowhere"}))
    with pytest.raises(BundleError, match=r"at /nowhere\. Received: no such folder; name it with --model$"):
        Index(copy)
    (copy / "index.json").write_text(json.dumps(settings | {"dtype": "complex"}))
    with pytest.raises(BundleError, match=r"expected dtype, one of float32, float16\. Received: 'complex'$"):
        Index(copy)
    (copy / "index.json").write_text("[]")
    with pytest.raises(BundleError, match=r"index\.json: expected model, str\. Received: None$"):
        Index(copy)


def test_an_offset_before_the_texts(tmp_path, folder):
    copy = shutil.copytree(folder, tmp_path / "i")
    np.save(copy / "offsets.npy", np.full(6, -1, np.int64))
    with pytest.raises(BundleError, match=r"texts\.jsonl is damaged; build the index again$"):
        Index(copy).search(["the cat"])


# === Models of sentence-transformers, and encoders ===


@pytest.mark.long
def test_prompts_are_the_models_and_are_remembered(tmp_path, documents, make_sentence_folder):
    library = {"prompts": {"query": "slow ", "passage": "fast "}, "default_prompt_name": "passage"}
    model = make_sentence_folder(tmp_path / "m", library=library, path="0_Transformer")
    build_index(model, input=documents, output=tmp_path / "i")
    kept = json.loads((tmp_path / "i" / "index.json").read_text())
    assert {name: kept[name] for name in ("pooling", "prompt", "query_prompt", "similarity")} == {
        "pooling": "mean",
        "prompt": "fast ",
        "query_prompt": "slow ",
        "similarity": "cosine",
    }
    plain = load(model, prompt="")
    wanted = plain.answers([f"fast {text}" for text in TEXTS])["vector"]
    np.testing.assert_allclose(Index(tmp_path / "i").vectors, wanted, atol=1e-6)
    for use, prompt in (({}, "slow "), ({"prompt": "the "}, "the "), ({"prompt_name": "passage"}, "fast ")):
        (results,) = Index(tmp_path / "i", **use).search(["dogs"], top=6)
        cosines = wanted @ plain.answers([f"{prompt}dogs"])["vector"][0]
        assert [result["score"] for result in results] == pytest.approx(sorted(cosines, reverse=True), abs=1e-5)
    build_index(model, input=documents, output=tmp_path / "j", prompt="", query_prompt_name="passage")
    kept = json.loads((tmp_path / "j" / "index.json").read_text())
    assert (kept["prompt"], kept["query_prompt"]) == ("", "fast ")
    with pytest.raises(
        UsageError, match=r"^the model has no prompt of that name; it has 'query', 'passage'\. Received: "
    ):
        build_index(model, input=documents, output=tmp_path / "k", prompt_name="p")


@pytest.mark.slow
def test_vectors_of_any_length_are_compared_as_the_model_says(tmp_path, documents, make_sentence_folder):
    for similarity in ("cosine", "dot"):
        folder = tmp_path / similarity
        model = make_sentence_folder(folder, modules=["Pooling"], library={"similarity_fn_name": similarity})
        build_index(model, input=documents, output=tmp_path / f"{similarity}-i")
        vectors = load(model).answers([*TEXTS, "dogs"])["vector"]
        if similarity == "cosine":
            vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
        (results,) = Index(tmp_path / f"{similarity}-i").search(["dogs"], top=6)
        expected = sorted((vectors[:-1] @ vectors[-1]).tolist(), reverse=True)
        assert [result["score"] for result in results] == pytest.approx(expected, rel=1e-5)
    assert max(expected) > 1.1
    model = make_sentence_folder(tmp_path / "e", library={"similarity_fn_name": "euclidean"})
    with pytest.raises(
        UsageError, match=r"\(--similarity overrules it\) must be one of cosine, dot\. Received: similarity='eu"
    ):
        build_index(model, input=documents, output=tmp_path / "k")
    build_index(model, input=documents, output=tmp_path / "k", similarity="dot")


def test_an_encoder_with_a_pooling(tmp_path, documents, pretrained):
    with pytest.raises(UsageError, match=r"or an encoder with --pooling\. Received: .*, which is for fill-mask$"):
        build_index(pretrained, input=documents, output=tmp_path / "i")
    build_index(pretrained, input=documents, output=tmp_path / "i", pooling="max")
    index = Index(tmp_path / "i")
    expected = load(pretrained, pooling="max").answers(TEXTS)["vector"]
    np.testing.assert_allclose(index.vectors, expected, atol=1e-6)
    assert index.search(["the cat"], top=1)[0][0]["id"] == "d5"


def test_an_index_of_an_older_kbert(tmp_path, documents, folder, index):
    kept = json.loads((folder / "index.json").read_text())
    old = shutil.copytree(folder, tmp_path / "old")
    for name in ("pooling", "prompt", "query_prompt", "similarity"):
        del kept[name]
    (old / "index.json").write_text(json.dumps(kept))
    assert Index(old).search(["dogs"]) == index.search(["dogs"])
    for name, value in (("pooling", "first"), ("similarity", 1), ("query_prompt", 1)):
        (old / "index.json").write_text(json.dumps(kept | {name: value}))
        with pytest.raises(BundleError, match=rf"expected {name}, .*Received: "):
            Index(old)


@pytest.mark.long
def test_a_cross_encoder_re_ranks(tmp_path, index, make_cross_encoder):
    ranker = make_cross_encoder(tmp_path / "m")
    (ranked,) = search(index, ["the dog"], top=6, rerank=ranker)
    scores = [result["score"] for result in ranked]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score < 1 for score in scores)


def test_weights_of_pytorch_and_other_weights(tmp_path, documents, make_sentence_folder, write_torch_file):
    model = make_sentence_folder(tmp_path / "m", path="0_Transformer")
    inner = model / "0_Transformer"
    tensors = load_file(inner / "model.safetensors")
    (inner / "model.safetensors").unlink()
    write_torch_file(inner / "pytorch_model.bin", tensors)
    build_index(model, input=documents, output=tmp_path / "i")
    assert [found["id"] for found in Index(tmp_path / "i").search(["a dog ran"], top=1)[0]] == ["d1"]
    tensors["embeddings.word_embeddings.weight"] += 1
    write_torch_file(inner / "pytorch_model.bin", tensors)
    with pytest.raises(BundleError, match=r"^expected the weights that .* was built with\."):
        Index(tmp_path / "i")
