"""Checkpoints of TensorFlow's Model Garden (the package official.nlp), of its BertEncoder and BertEncoderV2.

A TF2 checkpoint holds a graph of objects beside the tensors. A variable that two objects share is kept under the name
of one of them only, so tensors are found by walking the graph from the encoder and the heads, not by their names.

Model Garden's encoders have the tanh form of GELU. Its bert_config.json may be absent: the tensors tell every size.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kbert.config import BertConfig
from kbert.conversion import google, heads
from kbert.conversion.checkpoint_files import OBJECT_GRAPH, CheckpointFiles
from kbert.conversion.options import Options, find_lowercase, with_gelu
from kbert.conversion.tensor_tables import Endings, Entry, Part, Shape, bundle_shapes, entries, read_entries
from kbert.errors import BundleError, ConfigError
from kbert.model_folder.bundle import Bundle
from kbert.text.tokenizer import Tokenizer

# Names of an encoder's parts: as attributes (V2, and newer releases of the classic one), and as Keras counts layers
# of the classic one. The number of the last depends on the number of blocks.
_ATTRIBUTES = {
    "words": "_embedding_layer/embeddings",
    "positions": "_position_embedding_layer/embeddings",
    "types": "_type_embedding_layer/embeddings",
    "norm": "_embedding_norm_layer",
    "block": "_transformer_layers/{index}",
    "pooler": "_pooler_layer",
}
_NUMBERED = {
    "words": "layer_with_weights-0/embeddings",
    "positions": "layer_with_weights-1/embeddings",
    "types": "layer_with_weights-2/embeddings",
    "norm": "layer_with_weights-3",
    "block": "layer_with_weights-{block}",
    "pooler": "layer_with_weights-{last}",
}
_ENDINGS = Endings(dense=("/kernel", "/bias"), norm=("/gamma", "/beta"))


class _Objects:
    """The objects of a checkpoint.

    Args:
        checkpoint: The checkpoint.
    """

    def __init__(self, checkpoint: CheckpointFiles) -> None:
        from tensorflow.core.protobuf import trackable_object_graph_pb2 as graph_pb

        self.checkpoint = checkpoint
        try:
            graph = graph_pb.TrackableObjectGraph.FromString(checkpoint.read_bytes(OBJECT_GRAPH))
        except Exception as problem:  # DecodeError has no public home in every protobuf
            raise BundleError(f"{checkpoint}: its graph of objects is damaged ({problem})") from None
        count = len(graph.nodes)
        self._children = [
            {child.local_name: child.node_id for child in node.children if 0 <= child.node_id < count}
            for node in graph.nodes
        ]
        self._keys = [
            next((a.checkpoint_key for a in node.attributes if a.name == "VARIABLE_VALUE"), None)
            for node in graph.nodes
        ]

    def find(self, node: int, path: str) -> int | None:
        """The object at a path of attributes below another; a name may itself hold a slash."""
        children = self._children[node]
        if path in children:
            return children[path]
        first, _, rest = path.partition("/")
        return self.find(children[first], rest) if rest and first in children else None

    def key(self, node: int, path: str) -> str | None:
        """Under which name the checkpoint keeps the variable at a path."""
        found = self.find(node, path)
        return None if found is None else self._keys[found]

    def walk(self) -> Iterator[int]:
        """All objects that the root leads to, nearest first."""
        seen, queue = {0}, [0] if self._children else []
        for node in queue:
            yield node
            for child in self._children[node].values():
                if child not in seen:
                    seen.add(child)
                    queue.append(child)

    def children(self, node: int) -> dict[str, int]:
        """The attributes of an object."""
        return self._children[node]


def read(prefix: Path, options: Options) -> Bundle:
    """Reads a checkpoint of objects.

    Args:
        prefix: Of the checkpoint; vocab.txt is beside it, unless `options` says where.
        options: See `Options`.

    Raises:
        BundleError: Files are missing or damaged, or hold no BERT.
        ConfigError: bert_config.json has an unknown key, or a value that cannot be.
        VocabularyError: vocab.txt cannot be used.
    """
    checkpoint = CheckpointFiles(prefix)
    objects = _Objects(checkpoint)
    encoder, names, blocks = _find_encoder(objects)
    keys = _encoder_keys(objects, encoder, names, blocks)
    config = _find_config(checkpoint, keys, blocks, options)
    vocabulary = google.read_vocabulary(prefix.parent, config.vocab_size, options)
    tokenizer = Tokenizer(vocabulary, lowercase=find_lowercase(vocabulary, options))

    shapes = bundle_shapes(config)
    table = _encoder_table(config)
    if not options.encoder_only:
        table += _find_heads(objects, encoder, config, keys, shapes, options)
    foreign_shapes = {name: checkpoint.shapes[key] for name, key in keys.items() if key in checkpoint.shapes}
    tensors = read_entries(table, shapes, foreign_shapes, lambda name: checkpoint.read(keys[name]), prefix)
    kinds = heads.find_heads(tensors)
    foreign_config: dict[str, Any] = {}
    if heads.CLASSIFIER in kinds:
        foreign_config = heads.numbered_labels(len(tensors["classifier.bias"]))
    return Bundle(config, tokenizer, tensors, heads.architecture(kinds, prefix), {}, foreign_config)


def _find_encoder(objects: _Objects) -> tuple[int, dict[str, str], int]:
    """The encoder nearest to the root, the names of its parts, and how many blocks it has."""
    for node in objects.walk():
        for names in (_ATTRIBUTES, _NUMBERED):
            if objects.key(node, names["words"]) is None and objects.find(node, names["words"]) is None:
                continue
            blocks = 0
            while objects.find(node, names["block"].format(index=blocks, block=blocks + 4) + "/_attention_layer"):
                blocks += 1
            if blocks and objects.key(node, names["positions"]):
                return node, names, blocks
    raise BundleError(
        f"{objects.checkpoint} holds no BertEncoder or BertEncoderV2 of the Model Garden: expected embeddings, "
        "positions and blocks with _attention_layer"
    )


def _encoder_keys(objects: _Objects, encoder: int, names: dict[str, str], blocks: int) -> dict[str, str]:
    """Where the checkpoint keeps the encoder's variables, by the names of `_encoder_table`."""
    keys: dict[str, str] = {}

    def add(ours: str, path: str) -> None:
        key = objects.key(encoder, path)
        if key is not None:
            keys[ours] = key

    for table in ("words", "positions", "types"):
        add(table, names[table])
    for ending in ("gamma", "beta"):
        add(f"norm/{ending}", f"{names['norm']}/{ending}")
    for index in range(blocks):
        block = names["block"].format(index=index, block=index + 4)
        for part in ("_attention_layer/_query_dense", "_attention_layer/_key_dense", "_attention_layer/_value_dense"):
            for ending in ("kernel", "bias"):
                add(f"block_{index}/{part}/{ending}", f"{block}/{part}/{ending}")
        for part in ("_attention_layer/_output_dense", "_intermediate_dense", "_output_dense"):
            for ending in ("kernel", "bias"):
                add(f"block_{index}/{part}/{ending}", f"{block}/{part}/{ending}")
        for part in ("_attention_layer_norm", "_output_layer_norm"):
            for ending in ("gamma", "beta"):
                add(f"block_{index}/{part}/{ending}", f"{block}/{part}/{ending}")
    for ending in ("kernel", "bias"):
        add(f"pooler/{ending}", f"{names['pooler'].format(last=blocks + 4)}/{ending}")
    return keys


def _encoder_table(config: BertConfig) -> list[Entry]:
    parts = [
        Part("bert.embeddings.word_embeddings.weight", "words", "table"),
        Part("bert.embeddings.position_embeddings.weight", "positions", "table"),
        Part("bert.embeddings.token_type_embeddings.weight", "types", "table"),
        Part("bert.embeddings.LayerNorm", "norm", "norm"),
    ]
    for index in range(config.num_hidden_layers):
        ours, theirs = f"bert.encoder.layer.{index}", f"block_{index}"
        parts += [
            Part(f"{ours}.attention.self.query", f"{theirs}/_attention_layer/_query_dense", "heads_in"),
            Part(f"{ours}.attention.self.key", f"{theirs}/_attention_layer/_key_dense", "heads_in"),
            Part(f"{ours}.attention.self.value", f"{theirs}/_attention_layer/_value_dense", "heads_in"),
            Part(f"{ours}.attention.output.dense", f"{theirs}/_attention_layer/_output_dense", "heads_out"),
            Part(f"{ours}.attention.output.LayerNorm", f"{theirs}/_attention_layer_norm", "norm"),
            Part(f"{ours}.intermediate.dense", f"{theirs}/_intermediate_dense", "dense"),
            Part(f"{ours}.output.dense", f"{theirs}/_output_dense", "dense"),
            Part(f"{ours}.output.LayerNorm", f"{theirs}/_output_layer_norm", "norm"),
        ]
    parts.append(Part("bert.pooler.dense", "pooler", "dense"))
    return entries(parts, _ENDINGS, config.num_attention_heads)


def _find_config(checkpoint: CheckpointFiles, keys: dict[str, str], blocks: int, options: Options) -> BertConfig:
    """The shape of the model, which the tensors tell, and what bert_config.json says beside."""

    def shape(name: str, rank: int) -> list[int]:
        found = checkpoint.shapes.get(keys.get(name, ""))
        if found is None or len(found) != rank or not all(found):
            raise BundleError(f"{checkpoint} lacks the tensor {name} of {rank} dimensions. Received: {found}")
        return found

    vocabulary, width = shape("words", 2)
    sizes = {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "num_hidden_layers": blocks,
        "num_attention_heads": shape("block_0/_attention_layer/_query_dense/kernel", 3)[1],
        "intermediate_size": shape("block_0/_intermediate_dense/kernel", 2)[1],
        "max_position_embeddings": shape("positions", 2)[0],
        "type_vocab_size": shape("types", 2)[0],
    }
    path = options.config or checkpoint.prefix.with_name(google.CONFIG_FILE)
    if not path.is_file() and options.config is None:
        return with_gelu(BertConfig(**sizes, hidden_act="gelu_new"), options.gelu)
    config = google.read_config(checkpoint.prefix.parent, options)
    for name, size in sizes.items():
        if getattr(config, name) != size:
            raise ConfigError(
                f"{path}: {name} must be the {size} that the checkpoint has. Received: {getattr(config, name)}"
            )
    if config.hidden_act == "gelu":
        config = config.replace(hidden_act="gelu_new")
    return with_gelu(config, options.gelu)


def _find_heads(
    objects: _Objects,
    encoder: int,
    config: BertConfig,
    keys: dict[str, str],
    shapes: dict[str, Shape],
    options: Options,
) -> list[Entry]:
    """The heads of a pretrainer or a classifier; adds to `keys` and `shapes`.

    A head of its own kind brings a pooler, which takes the place of the encoder's: only one of the two was trained.
    """
    parts: list[Part] = []
    masked_lm, projections, pooler = None, [], None
    for node in objects.walk():
        children = objects.children(node)
        if masked_lm is None and "embedding_table" in children and "layer_norm" in children and "dense" in children:
            masked_lm = node
        if "out_proj" in children and node not in projections:
            projections.append(node)
        pooler = pooler if pooler is not None else children.get("next_sentence.pooler_dense")

    def add(part: Part, node: int, path: str, endings: tuple[str, ...]) -> None:
        for ending in endings:
            if key := objects.key(node, path + ending):
                keys[part.foreign + ending] = key
        parts.append(part)

    if masked_lm is not None:
        add(Part("cls.predictions.transform.dense", "mlm/dense", "dense"), masked_lm, "dense", ("/kernel", "/bias"))
        add(
            Part("cls.predictions.transform.LayerNorm", "mlm/norm", "norm"),
            masked_lm,
            "layer_norm",
            ("/gamma", "/beta"),
        )
        add(Part("cls.predictions.bias", "mlm/bias", "table"), masked_lm, "output_bias/bias", ("",))
        keys["mlm/bias"] = objects.key(masked_lm, "output_bias/bias") or objects.key(masked_lm, "bias") or ""
    if len(projections) > 1:
        raise BundleError(f"{objects.checkpoint} has {len(projections)} heads; --encoder-only leaves them behind")
    if projections:
        name = heads.NSP if masked_lm is not None else heads.CLASSIFIER
        add(Part(name, "head", "dense"), projections[0], "out_proj", ("/kernel", "/bias"))
        classes = (objects.checkpoint.shapes.get(keys.get("head/bias", "")) or [0])[0]
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (classes, config.hidden_size), (classes,)
        if name == heads.NSP and classes != 2:
            raise BundleError(
                f"{objects.checkpoint}: a head beside the masked language model must have 2 classes, as next sentence "
                f"prediction has. Received: {classes}; --encoder-only leaves it behind"
            )
        pooler = objects.children(projections[0]).get("dense", pooler)
    if pooler is not None:
        for ending in ("/kernel", "/bias"):
            if key := objects.key(pooler, ending[1:]):
                keys["pooler" + ending] = key
        options.notes.append("the pooler is the one of the checkpoint's head, which was trained with it")
    return entries(parts, _ENDINGS, config.num_attention_heads)
