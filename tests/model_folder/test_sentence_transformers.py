"""Valid and invalid files of sentence-transformers."""

import json
import re

import pytest

from kbert.errors import BundleError
from kbert.model_folder.bundle import Bundle, is_bundle
from kbert.model_folder.cross_encoder import activation_name, known_activation, named_activation
from kbert.model_folder.sentence_files import module_files, read_modules, transformer_path
from kbert.model_folder.sentence_transformers import SentenceModules

TRANSFORMER = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}


def test_what_the_files_say(tmp_path, make_sentence_folder):
    folder = make_sentence_folder(
        tmp_path / "m",
        pooling={"word_embedding_dimension": 32, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
        modules=["Pooling"],
        transformer={"max_seq_length": 12, "do_lower_case": True},
        library={
            "__version__": {"sentence_transformers": "2.2.2"},
            "prompts": {"query": "query: ", "document": None},
            "default_prompt_name": "query",
            "similarity_fn_name": "dot",
        },
    )
    expected = SentenceModules(
        "cls", False, 12, True, {"query": "query: ", "document": ""}, "query", similarity="dot", unsupported=None
    )
    assert read_modules(folder, 32) == expected
    assert Bundle.load(folder).modules == expected
    assert module_files(folder) == ["sentence_bert_config.json", "1_Pooling/config.json"]


def test_a_folder_without_modules(embedder, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert (read_modules(tmp_path), transformer_path(tmp_path), module_files(tmp_path)) == (None, "", [])


@pytest.mark.parametrize("prefix", ["sentence_transformers.models.", "sentence_transformers.base.modules.x."])
@pytest.mark.parametrize("path", ["", "0_Transformer", "a/b"])
def test_both_layouts(tmp_path, make_sentence_folder, path, prefix):
    folder = make_sentence_folder(tmp_path / "m", path=path, transformer={"max_seq_length": 9}, prefix=prefix)
    assert is_bundle(folder)
    bundle = Bundle.load(folder)
    assert bundle.modules == SentenceModules("mean", True, 9)
    assert bundle.architecture == "BertModel"
    assert len(bundle.tokenizer.vocabulary) == 23


def test_folders_of_2019(tmp_path, make_sentence_folder):
    folder = make_sentence_folder(tmp_path / "m", path="0_BERT", transformer={"max_seq_length": 9})
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = "sentence_transformers.models.BERT"
    (folder / "modules.json").write_text(json.dumps(modules))
    assert Bundle.load(folder).modules == SentenceModules("mean", True, 9)
    modules[0]["type"] = "another_package.models.BERT"
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(BundleError, match="expected a Transformer as the first module"):
        Bundle.load(folder)


@pytest.mark.parametrize(
    ("pooling", "mode"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode_mean_tokens": False, "pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode_mean_tokens": False}, "mean"),  # as the library has it
        ({"pooling_mode": "cls", "include_prompt": True}, "cls"),
        ({"embedding_dimension": 32, "pooling_mode": ["max"]}, "max"),
    ],
)
def test_poolings(tmp_path, make_sentence_folder, pooling, mode):
    assert read_modules(make_sentence_folder(tmp_path / "m", pooling=pooling), 32) == SentenceModules(mode)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"modules": ["Pooling", "Dense", "Normalize"]}, "a module Dense"),
        ({"modules": ["Pooling", "LayerNorm"]}, "a module LayerNorm"),
        ({"modules": ["Normalize"]}, "a Normalize as module 1 after the transformer"),
        ({"modules": []}, "a model without a Pooling module"),
        ({"pooling": {"pooling_mode_mean_sqrt_len_tokens": True}}, "the pooling mean_sqrt_len_tokens"),
        ({"pooling": {"pooling_mode_weightedmean_tokens": True}}, "the pooling weightedmean"),
        ({"pooling": {"pooling_mode_lasttoken": True}}, "the pooling lasttoken"),
        (
            {"pooling": {"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}},
            "the pooling max with mean",
        ),
        ({"pooling": {"pooling_mode": ["mean", "cls"]}}, "the pooling mean with cls"),
        ({"library": {"model_type": "SparseEncoder"}}, "a SparseEncoder"),
        ({"transformer": {"transformer_task": "fill-mask"}}, "the transformer_task fill-mask"),
        ({"transformer": {"query_length": 32}}, "the setting query_length"),
        (
            {
                "transformer": {
                    "modality_config": {"text": {"method": "forward", "method_output_name": "pooler_output"}}
                }
            },
            "the modality_config {'method': 'forward', 'method_output_name': 'pooler_output'}",
        ),
    ],
)
def test_what_is_not_computed_is_named(tmp_path, make_sentence_folder, settings, what):
    folder = make_sentence_folder(tmp_path / "m", **settings)
    assert read_modules(folder, 32).unsupported == what
    assert not read_modules(folder, 32).gives_vectors


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ({}, "expected a list of modules. Received: {}"),
        ([], "expected a list of modules. Received: []"),
        ([{"path": ""}], 'expected {"type": …, "path": …} of each module'),
        ([{"type": "a", "path": 1}], 'expected {"type": …, "path": …} of each module'),
        ([TRANSFORMER | {"type": "sentence_transformers.models.BoW"}], "expected a Transformer as the first module"),
        ([TRANSFORMER | {"type": "mine.Transformer"}], "expected a Transformer as the first module. Received: 'mine."),
        *(
            ([TRANSFORMER | {"path": path}], "the path of a module must lie inside the folder. Received: ")
            for path in ("..", "../x", "a/../../x", "/etc", "~/x", "a\\b", "C:x", "a\0b")
        ),
        ([TRANSFORMER, TRANSFORMER | {"path": "../1_Pooling"}], "the path of a module must lie inside the folder"),
    ],
)
def test_modules_that_cannot_be(tmp_path, modules, message):
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    for function in (read_modules, transformer_path, module_files, Bundle.load):
        with pytest.raises(BundleError, match=re.escape(message)) as problem:
            function(tmp_path)
        assert "\n" not in str(problem.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pooling": []}, "1_Pooling/config.json: expected a JSON object. Received: list"),
        ({"pooling": {"pooling_mode_cls_token": 1}}, "expected true or false as pooling_mode_cls_token. Received: 1"),
        ({"pooling": {"pooling_mode": 3}}, "expected a name, or a list of names, as pooling_mode. Received: 3"),
        ({"pooling": {"pooling_mode": []}}, "expected a name, or a list of names, as pooling_mode. Received: []"),
        (
            {"pooling": {"word_embedding_dimension": 31}},
            "word_embedding_dimension must be 32, as in config.json",
        ),
        ({"transformer": {"max_seq_length": 4}}, "expected max_seq_length, an integer of at least 5. Received: 4"),
        ({"transformer": {"max_seq_length": "9"}}, "expected max_seq_length, an integer of at least 5. Received: '9'"),
        ({"transformer": {"do_lower_case": "no"}}, "expected true or false as do_lower_case. Received: 'no'"),
        ({"library": {"prompts": ["a"]}}, "expected an object as prompts. Received: ['a']"),
        ({"library": {"prompts": {"a": 1}}}, "expected a string as 'a' of prompts. Received: 1"),
        ({"library": {"default_prompt_name": "q"}}, "expected default_prompt_name to be one of prompts. Received: 'q'"),
        ({"library": {"model_type": 7}}, "expected a string as model_type. Received: 7"),
    ],
)
def test_files_that_cannot_be(tmp_path, make_sentence_folder, settings, message):
    folder = make_sentence_folder(tmp_path / "m", **settings)
    with pytest.raises(BundleError, match=re.escape(message)):
        Bundle.load(folder)


def test_a_pooling_that_is_missing(tmp_path, make_sentence_folder):
    folder = make_sentence_folder(tmp_path / "m")
    (folder / "1_Pooling" / "config.json").unlink()
    with pytest.raises(BundleError, match=r"1_Pooling/config\.json is missing$"):
        Bundle.load(folder)


def test_text_is_lower_cased_where_the_module_says_so(tmp_path, make_sentence_folder, vocabulary):
    from kbert.text.tokenizer import Tokenizer

    cased = Tokenizer(vocabulary, lowercase=False)
    for flag, ids in ((False, [1, 7]), (True, [6, 7])):
        folder = make_sentence_folder(tmp_path / str(flag), transformer={"do_lower_case": flag}, tokenizer=cased)
        assert Bundle.load(folder).tokenizer.ids("A cat") == ids
    assert Bundle.load(folder).tokenizer.settings.strip_accents is False


def test_they_are_written_as_they_are_read(tmp_path, make_sentence_folder):
    modules = SentenceModules("max", True, 20, False, {"query": "q: "}, "query", similarity="dot")
    bundle = Bundle.load(make_sentence_folder(tmp_path / "a"))
    bundle.modules = modules
    bundle.save(tmp_path / "b", "# A card\n")
    assert Bundle.load(tmp_path / "b").modules == modules
    assert json.loads((tmp_path / "b" / "1_Pooling" / "config.json").read_text()) == {
        "word_embedding_dimension": 32,
        "pooling_mode_cls_token": False,
        "pooling_mode_max_tokens": True,
        "pooling_mode_mean_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
        "pooling_mode_weightedmean_tokens": False,
        "pooling_mode_lasttoken": False,
        "include_prompt": True,
    }
    listed = json.loads((tmp_path / "b" / "modules.json").read_text())
    assert [(module["path"], module["type"].rpartition(".")[2]) for module in listed] == [
        ("", "Transformer"),
        ("1_Pooling", "Pooling"),
        ("2_Normalize", "Normalize"),
    ]
    plain = SentenceModules(normalize=False)
    plain.save(tmp_path, 32)
    assert read_modules(tmp_path, 32) == plain
    assert not (tmp_path / "2_Normalize").exists()


def test_activations_of_cross_encoders():
    sigmoid = "torch.nn.modules.activation.Sigmoid"
    assert named_activation({}, None) == (False, None)
    assert named_activation({}, SentenceModules()) == (False, None)
    assert named_activation({}, SentenceModules(kind="CrossEncoder", activation=sigmoid)) == (True, sigmoid)
    assert named_activation({"sbert_ce_default_activation_function": None}, None) == (True, None)
    assert named_activation({"sentence_transformers": {"activation_fn": sigmoid}}, None) == (True, sigmoid)
    assert [
        known_activation(name) for name in (None, sigmoid, "torch.nn.Identity", "torch.nn.modules.linear.Identity")
    ] == [
        "sigmoid",
        "sigmoid",
        "identity",
        "identity",
    ]
    assert known_activation(activation_name("identity")) == "identity"
    for name in ("torch.nn.Tanh", "mine.Sigmoid", "torch.nn.evil.Sigmoid"):
        with pytest.raises(
            ValueError, match=r"^the activation must be torch\.nn\.Identity or torch\.nn\.Sigmoid\. Rec"
        ):
            known_activation(name)
