import itertools

import pytest

from kbert.config import PRESETS, BertConfig, preset_config
from kbert.errors import BundleError, ConfigError
from kbert.model_folder.architectures import (
    ARCHITECTURES,
    architecture_with,
    check_architecture,
    check_encoder,
    encoder_tensors,
    fitting_architecture,
    guessed_architecture,
    parameter_count,
)


@pytest.fixture
def config():
    return BertConfig(
        vocab_size=10,
        hidden_size=4,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=6,
        max_position_embeddings=8,
    )


def shapes_of(config, architecture="BertModel", classes=2):
    return dict(ARCHITECTURES[architecture].tensors(config, classes))


def test_the_tensors_of_an_encoder(config):
    assert list(encoder_tensors(config)) == [
        ("bert.embeddings.word_embeddings.weight", (10, 4)),
        ("bert.embeddings.position_embeddings.weight", (8, 4)),
        ("bert.embeddings.token_type_embeddings.weight", (2, 4)),
        ("bert.embeddings.LayerNorm.weight", (4,)),
        ("bert.embeddings.LayerNorm.bias", (4,)),
        ("bert.encoder.layer.0.attention.self.query.weight", (4, 4)),
        ("bert.encoder.layer.0.attention.self.query.bias", (4,)),
        ("bert.encoder.layer.0.attention.self.key.weight", (4, 4)),
        ("bert.encoder.layer.0.attention.self.key.bias", (4,)),
        ("bert.encoder.layer.0.attention.self.value.weight", (4, 4)),
        ("bert.encoder.layer.0.attention.self.value.bias", (4,)),
        ("bert.encoder.layer.0.attention.output.dense.weight", (4, 4)),
        ("bert.encoder.layer.0.attention.output.dense.bias", (4,)),
        ("bert.encoder.layer.0.attention.output.LayerNorm.weight", (4,)),
        ("bert.encoder.layer.0.attention.output.LayerNorm.bias", (4,)),
        ("bert.encoder.layer.0.intermediate.dense.weight", (6, 4)),
        ("bert.encoder.layer.0.intermediate.dense.bias", (6,)),
        ("bert.encoder.layer.0.output.dense.weight", (4, 6)),
        ("bert.encoder.layer.0.output.dense.bias", (4,)),
        ("bert.encoder.layer.0.output.LayerNorm.weight", (4,)),
        ("bert.encoder.layer.0.output.LayerNorm.bias", (4,)),
        ("bert.pooler.dense.weight", (4, 4)),
        ("bert.pooler.dense.bias", (4,)),
    ]


def test_the_tensors_of_each_head(config):
    encoder = dict(encoder_tensors(config, pooler=False))
    pooler = {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}
    predictions = {
        "cls.predictions.bias": (10,),
        "cls.predictions.transform.dense.weight": (4, 4),
        "cls.predictions.transform.dense.bias": (4,),
        "cls.predictions.transform.LayerNorm.weight": (4,),
        "cls.predictions.transform.LayerNorm.bias": (4,),
    }
    heads = {
        "BertModel": (True, {}),
        "BertForPreTraining": (
            True,
            predictions | {"cls.seq_relationship.weight": (2, 4), "cls.seq_relationship.bias": (2,)},
        ),
        "BertForMaskedLM": (False, predictions),
        "BertForNextSentencePrediction": (
            True,
            {"cls.seq_relationship.weight": (2, 4), "cls.seq_relationship.bias": (2,)},
        ),
        "BertForSequenceClassification": (True, {"classifier.weight": (3, 4), "classifier.bias": (3,)}),
        "BertForTokenClassification": (False, {"classifier.weight": (3, 4), "classifier.bias": (3,)}),
        "BertForQuestionAnswering": (False, {"qa_outputs.weight": (2, 4), "qa_outputs.bias": (2,)}),
        "BertForMultipleChoice": (True, {"classifier.weight": (1, 4), "classifier.bias": (1,)}),
        "BertForRelations": (
            False,
            {
                "relation.dense.weight": (4, 12),
                "relation.dense.bias": (4,),
                "classifier.weight": (3, 4),
                "classifier.bias": (3,),
            },
        ),
        "BertForSemanticRoles": (
            False,
            {
                "predicates.weight": (3, 4),
                "predicates.bias": (3,),
                "classifier.weight": (3, 4),
                "classifier.bias": (3,),
            },
        ),
    }
    assert heads.keys() == ARCHITECTURES.keys()
    for architecture, (pooled, head) in heads.items():
        rest = {
            name: shape for name, shape in shapes_of(config, architecture, classes=3).items() if name not in encoder
        }
        assert (pooler <= rest.keys()) == pooled
        assert {name: shape for name, shape in rest.items() if name not in pooler} == head


# Published by arXiv 1908.08962 (layers down, width 128, 256, 512, 768 across), with the pooler.
GRID = {
    2: (4_385_920, 9_591_040, 22_458_880, 38_603_520),
    4: (4_782_464, 11_170_560, 28_763_648, 52_779_264),
    6: (5_179_008, 12_750_080, 35_068_416, 66_955_008),
    8: (5_575_552, 14_329_600, 41_373_184, 81_130_752),
    10: (5_972_096, 15_909_120, 47_677_952, 95_306_496),
    12: (6_368_640, 17_488_640, 53_982_720, 109_482_240),
}


def test_parameters_of_the_24_small_models():
    counted = {name: parameter_count(preset_config(name)) for name in PRESETS if name.startswith("L-")}
    assert counted == {
        f"L-{layers}_H-{width}": count
        for layers, counts in GRID.items()
        for width, count in zip((128, 256, 512, 768), counts, strict=True)
    }


@pytest.mark.parametrize(
    ("preset", "architecture", "parameters"),
    [
        ("base", "BertModel", 109_482_240),
        ("large", "BertModel", 335_141_888),
        ("base-cased", "BertModel", 108_310_272),
        ("large-cased", "BertModel", 333_579_264),
        ("base-chinese", "BertModel", 102_267_648),
        ("base-multilingual-cased", "BertModel", 177_853_440),
        ("tiny", "BertForPreTraining", 4_433_468),
        ("base", "BertForPreTraining", 110_106_428),
        ("large", "BertForPreTraining", 336_226_108),
    ],
)
def test_parameters_of_the_published_models(preset, architecture, parameters):
    assert parameter_count(preset_config(preset), architecture) == parameters


def test_tensors_that_fit(config):
    for architecture in ARCHITECTURES:
        shapes = shapes_of(config, architecture, 3)
        check_encoder(shapes, config)
        check_architecture(shapes, config, architecture, 3)


def test_heads_of_other_models_are_left_aside(config):
    for architecture, others in {
        "BertModel": ("BertForPreTraining", "BertForSequenceClassification"),
        "BertForMaskedLM": ("BertForQuestionAnswering", "BertForPreTraining"),
        "BertForNextSentencePrediction": ("BertForPreTraining", "BertForSequenceClassification"),
        "BertForSequenceClassification": ("BertForPreTraining", "BertForQuestionAnswering"),
    }.items():
        shapes = shapes_of(config, architecture, 3)
        for other in others:
            shapes = shapes_of(config, other, 3) | shapes
        check_architecture(shapes, config, architecture, 3)


def test_a_further_tensor_in_the_encoder(config):
    for name in (
        "bert.encoder.layer.1.output.dense.bias",  # config.json says one layer
        "bert.encoder.layer.0.attention.self.distance_embedding.weight",
        "bert.encoder.layer.0.output.adapters.a.adapter_down.0.weight",
    ):
        shapes = shapes_of(config, "BertModel") | {name: (4,)}
        with pytest.raises(
            BundleError, match=rf"^the tensor '{name}' is not part of a BERT with the 1 layers that config"
        ):
            check_encoder(shapes, config)


def test_a_decoder_that_is_not_tied(config):
    shapes = shapes_of(config, "BertForPreTraining") | {"cls.predictions.decoder.weight": (10, 4)}
    check_encoder(shapes, config)
    check_architecture(shapes, config, "BertModel", 2)
    with pytest.raises(
        BundleError, match=r"^the tensor cls\.predictions\.decoder\.weight must equal the token table, "
    ):
        check_architecture(shapes, config, "BertForPreTraining", 2)


def test_an_encoder_without_its_pooler_fits(config):
    shapes = dict(encoder_tensors(config, pooler=False))
    check_encoder(shapes, config)
    check_architecture(shapes, config, "BertModel", 2)


def test_tensors_that_do_not_fit(config):
    shapes = shapes_of(config, "BertForSequenceClassification")
    lacking = {name: shape for name, shape in shapes.items() if name != "classifier.bias"}
    with pytest.raises(
        BundleError, match=r"^expected the tensor classifier\.bias of shape \[2\]\. Received: weights without it$"
    ):
        check_architecture(lacking, config, "BertForSequenceClassification", 2)
    with pytest.raises(
        BundleError,
        match=r"^the tensor classifier\.weight must have the shape \[3, 4\], which config\.json requires\. Rec",
    ):
        check_architecture(shapes, config, "BertForSequenceClassification", 3)
    with pytest.raises(BundleError, match=r"^the tensor 'crf\.start' is not part of a BertForSequenceClassification, "):
        check_architecture(shapes | {"crf.start": (2,)}, config, "BertForSequenceClassification", 2)
    with pytest.raises(BundleError, match=r"^the tensor bert\.pooler\.dense\.bias must have the shape \[4\]"):
        check_encoder(shapes | {"bert.pooler.dense.bias": (5,)}, config)
    with pytest.raises(ConfigError, match="kbert has no architecture 'BertLMHeadModel'; there are BertModel, "):
        check_architecture(shapes, config, "BertLMHeadModel", 2)


def test_a_billion_layers_end_at_the_first_that_is_missing(config):
    absurd = config.replace(num_hidden_layers=10**9)
    with pytest.raises(BundleError, match=r"the tensor bert\.encoder\.layer\.1\.attention\.self\.query\.weight"):
        check_encoder(shapes_of(config), absurd)
    assert len(list(itertools.islice(encoder_tensors(absurd), 100))) == 100


def test_parts_of_pretraining_that_a_head_does_not_use(config):
    """bert-base-uncased says BertForMaskedLM, and holds all of BertForPreTraining."""
    shapes = shapes_of(config, "BertForPreTraining")
    check_architecture(shapes, config, "BertForMaskedLM", 2)
    assert fitting_architecture("BertForMaskedLM", frozenset(shapes)) == "BertForPreTraining"
    assert fitting_architecture("BertForMaskedLM", frozenset(shapes_of(config, "BertForMaskedLM"))) == "BertForMaskedLM"
    assert fitting_architecture("BertModel", frozenset(shapes)) == "BertModel"


def test_guesses_where_no_architecture_is_named(config):
    for architecture in ("BertModel", "BertForPreTraining", "BertForMaskedLM", "BertForQuestionAnswering"):
        assert guessed_architecture(frozenset(shapes_of(config, architecture))) == architecture


def test_the_architecture_with_some_heads(config):
    for architecture in ARCHITECTURES:
        if architecture != "BertForMultipleChoice":  # its tensors are those of a classifier with one class
            assert architecture_with(frozenset(shapes_of(config, architecture))) == architecture
    assert architecture_with(frozenset(shapes_of(config, "BertForMultipleChoice"))) == "BertForSequenceClassification"
    assert architecture_with(frozenset(dict(encoder_tensors(config, pooler=False)))) == "BertModel"
    two = shapes_of(config, "BertForMaskedLM") | shapes_of(config, "BertForQuestionAnswering")
    assert architecture_with(frozenset(two)) is None
    assert architecture_with(frozenset({"cls.seq_relationship.weight"})) is None  # it needs the pooler
