"""Messages of gRPC that are wrong in every way."""

from tensorflow.core.framework import tensor_pb2, types_pb2


def tensor(rng):
    proto = tensor_pb2.TensorProto(dtype=rng.choice([types_pb2.DT_STRING, types_pb2.DT_FLOAT, rng.randrange(-1, 130)]))
    sizes = [1, 2, 2, 0, -1, 3, 2**20, 2**31, 2**62, 10_001]
    for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 5, 40, 300])):
        proto.tensor_shape.dim.add(size=rng.choice(sizes[: rng.choice([3, len(sizes)])]))
    proto.tensor_shape.unknown_rank = rng.random() < 0.05
    for field, value in (
        ("string_val", rng.randbytes(rng.choice([0, 3, 2000]))),
        ("float_val", rng.choice([0.0, 1e38, float("nan")])),
        ("int_val", rng.choice([0, -1, 300, 2**31 - 1])),
        ("int64_val", 2**62),
        ("half_val", 70_000),
        ("bool_val", True),
        ("scomplex_val", 1.0),
    ):
        if rng.random() < 0.4:
            getattr(proto, field).extend([value] * rng.choice([1, 1, 2, 3, 1000]))
    if rng.random() < 0.2:
        proto.tensor_content = rng.randbytes(rng.choice([0, 3, 8, 5000]))
    if rng.random() < 0.05:
        proto.resource_handle_val.add(name="x")
        proto.variant_val.add(type_name="tensorflow::TensorList", metadata=b"\xff")
    return proto


def spec(rng, message):
    message.name = rng.choice(["m", "m", "m", "m", "", "none", "é", "a" * 2000, f"{rng.getrandbits(64):x}"])
    message.signature_name = rng.choice(
        ["", "", "serving_default", "numbers", "classify", "none", "__saved_model_init_op"]
    )
    if rng.random() < 0.2:
        message.version.value = rng.choice([1, 0, -1, 2**63 - 1])
    elif rng.random() < 0.1:
        message.version_label = rng.choice(["", "stable"])


def examples(rng, message):
    examples = rng.choice([message.example_list, message.example_list_with_context]).examples
    for _ in range(rng.choice([0, 1, 3])):
        examples.add().features.feature[rng.choice(["a", ""])].bytes_list.value.append(rng.randbytes(5))
