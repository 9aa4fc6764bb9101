from kbert import features


def test_names_and_order():
    """Names of TF Hub's BERT and the Model Garden: other programs read them."""
    assert [(f.name, f.dtype, f.dimensions) for f in features.PRETRAINING_FEATURES] == [
        ("input_word_ids", "int32", "S"),
        ("input_mask", "int32", "S"),
        ("input_type_ids", "int32", "S"),
        ("masked_lm_positions", "int32", "P"),
        ("masked_lm_ids", "int32", "P"),
        ("masked_lm_weights", "float32", "P"),
        ("next_sentence_labels", "int32", ""),
    ]
    assert features.PRETRAINING_FEATURES[:3] == features.ENCODER_FEATURES
    assert features.PRETRAINING_FEATURES[3:6] == features.MASKING_FEATURES


def test_keras_inputs():
    inputs = features.keras_inputs(features.PRETRAINING_FEATURES)
    assert {name: (tensor.name, tensor.dtype, tensor.shape) for name, tensor in inputs.items()} == {
        feature.name: (feature.name, feature.dtype, (None,) * (1 + len(feature.dimensions)))
        for feature in features.PRETRAINING_FEATURES
    }


def test_packed_features():
    assert [(f.name, f.dtype, f.dimensions) for f in features.PACKED_PRETRAINING_FEATURES] == [
        ("input_word_ids", "int32", "S"),
        ("input_mask", "int32", "S"),
        ("input_type_ids", "int32", "S"),
        ("input_positions", "int32", "S"),
        ("input_example_ids", "int32", "S"),
        ("next_sentence_positions", "int32", "E"),
        ("masked_lm_positions", "int32", "P"),
        ("masked_lm_ids", "int32", "P"),
        ("masked_lm_weights", "float32", "P"),
        ("next_sentence_labels", "int32", "E"),
        ("next_sentence_weights", "float32", "E"),
    ]
    assert features.PACKED_PRETRAINING_FEATURES[:6] == features.PACKED_ENCODER_FEATURES
