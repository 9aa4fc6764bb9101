"""Reads checkpoints of TensorFlow's Model Garden (the package official.nlp): its BertEncoder and BertEncoderV2.

A TF2 checkpoint holds an object graph beside the tensors. A variable that two objects share is stored under the name
of only one of them, so tensors are found by walking the graph from the encoder and the heads, not by their names.

The encoders of the Model Garden have the tanh form of GELU. bert_config.json is optional, because all sizes follow from
the shapes of the tensors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kbert.config import BertConfig
from kbert.conversion import google, heads, sidecar
from kbert.conversion.checkpoint_files import LOOKS_LIKE, OBJECT_GRAPH, CheckpointFiles, find_checkpoint
from kbert.conversion.format import Format
from kbert.conversion.named_tokenizer import named_tokenizer
from kbert.conversion.settings import ConversionSettings, with_gelu
from kbert.conversion.tensor_tables import HEADS_IN, HEADS_OUT, Entry, TensorTable, read_entries
from kbert.errors import BundleError, ConfigError
from kbert.model_folder.bundle import Bundle


def _table(names: Mapping[str, str], block: str = "", *, first_layer: int = 0) -> TensorTable:
    """Returns the tensor table of an encoder or a head.

    Args:
        names: The paths of the parts that are not in a block.
        block: The path of a block below the encoder, with "{layer}" for its number; "" if there are no blocks.
        first_layer: The number of the first block.
    """
    inner = {
        "query": "_attention_layer/_query_dense",
        "key": "_attention_layer/_key_dense",
        "value": "_attention_layer/_value_dense",
        "attention_output": "_attention_layer/_output_dense",
        "attention_norm": "_attention_layer_norm",
        "intermediate": "_intermediate_dense",
        "output": "_output_dense",
        "output_norm": "_output_layer_norm",
    }
    blocks = {part: f"{block}/{path}" for part, path in inner.items()} if block else {}
    return TensorTable(
        {**names, **blocks},
        dense=("/kernel", "/bias"),
        norm=("/gamma", "/beta"),
        layouts={"query": HEADS_IN, "key": HEADS_IN, "value": HEADS_IN, "attention_output": HEADS_OUT},
        first_layer=first_layer,
    )


# BertEncoderV2, and BertEncoder in newer releases, store the parts of the encoder as attributes. BertEncoder in older
# releases numbers its layers, as `_numbered` describes.
_ATTRIBUTES = _table(
    {
        "token_table": "_embedding_layer/embeddings",
        "position_table": "_position_embedding_layer/embeddings",
        "type_table": "_type_embedding_layer/embeddings",
        "embedding_norm": "_embedding_norm_layer",
        "pooler": "_pooler_layer",
    },
    "_transformer_layers/{layer}",
)


def _numbered(blocks: int) -> TensorTable:
    """Returns the table of an older BertEncoder with numbered layers; the pooler's number follows those of the blocks.

    Args:
        blocks: The number of blocks.
    """
    return _table(
        {
            "token_table": "layer_with_weights-0/embeddings",
            "position_table": "layer_with_weights-1/embeddings",
            "type_table": "layer_with_weights-2/embeddings",
            "embedding_norm": "layer_with_weights-3",
            "pooler": f"layer_with_weights-{blocks + 4}",
        },
        "layer_with_weights-{layer}",
        first_layer=4,
    )


_MASKED_LM = _table({"mlm_dense": "dense", "mlm_norm": "layer_norm", "mlm_bias": "output_bias/bias"})
_NEXT_SENTENCE = _table({"nsp": "out_proj"})
_CLASSIFIER = _table({"classifier": "out_proj"})


class _Objects:
    """The object graph of a checkpoint. Objects are identified by their numbers (nodes) in the graph; the root is 0."""

    def __init__(self, checkpoint: CheckpointFiles) -> None:
        from tensorflow.core.protobuf import trackable_object_graph_pb2 as graph_pb

        self.checkpoint = checkpoint
        try:
            graph = graph_pb.TrackableObjectGraph.FromString(checkpoint.read_bytes(OBJECT_GRAPH))
        except Exception as problem:  # not every version of protobuf has a public name for DecodeError
            raise BundleError(f"{checkpoint}: the object graph is damaged ({problem})") from None
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
        """Returns the object at a path of attributes below `node`, or None. An attribute's name may contain a slash."""
        children = self._children[node]
        if path in children:
            return children[path]
        first, _, rest = path.partition("/")
        return self.find(children[first], rest) if rest and first in children else None

    def key(self, node: int, path: str) -> str | None:
        """Returns the name under which the checkpoint stores the variable at a path, or None."""
        found = self.find(node, path)
        return None if found is None else self._keys[found]

    def walk(self) -> Iterator[int]:
        """Yields all objects that can be reached from the root, nearest first."""
        seen, queue = {0}, [0] if self._children else []
        for node in queue:
            yield node
            for child in self._children[node].values():
                if child not in seen:
                    seen.add(child)
                    queue.append(child)

    def children(self, node: int) -> dict[str, int]:
        """Returns the attributes of an object: the objects that they refer to, by name."""
        return self._children[node]


class ModelGardenFormat(Format):
    """The format of the Model Garden's object-based (TF2) checkpoints, which can be read but not written."""

    name = "model-garden"
    looks_like = LOOKS_LIKE
    takes = ("config", "vocab", "lowercase")
    writes = False

    def find(self, path: Path) -> Path | None:
        """Returns the prefix of a checkpoint with an object graph; see `find_checkpoint`."""
        prefix = find_checkpoint(path)
        return prefix if prefix is not None and OBJECT_GRAPH in CheckpointFiles(prefix).shapes else None

    def read(self, place: Path, options: ConversionSettings) -> Bundle:
        """Reads a checkpoint.

        Args:
            place: The prefix of the checkpoint. vocab.txt is in the same folder, unless `options` names it.
            options: See `ConversionSettings`.

        Raises:
            BundleError: Files are missing or damaged, or hold no BERT.
            ConfigError: bert_config.json has an unknown key or an invalid value.
            VocabularyError: vocab.txt is invalid.
        """
        checkpoint = CheckpointFiles(place)
        objects = _Objects(checkpoint)
        encoder, table, blocks = _find_encoder(objects)
        config = _find_config(objects, encoder, table, blocks, options)
        tokenizer = named_tokenizer(config.vocab_size, options) or sidecar.tokenizer_of(
            google.read_vocabulary(place.parent, config.vocab_size, options), None, options
        )
        entries = table.entries(config)
        keys = {entry.foreign: objects.key(encoder, entry.foreign) for entry in entries}
        if not options.encoder_only:
            entries += _find_heads(objects, table, config, keys, options)
        found = {name: key for name, key in keys.items() if key in checkpoint.shapes}
        foreign_shapes = {name: checkpoint.shapes[key] for name, key in found.items()}
        tensors = read_entries(entries, foreign_shapes, lambda name: checkpoint.read(found[name]), place)
        return heads.assembled(config, tokenizer, tensors, place, options)


def _find_encoder(objects: _Objects) -> tuple[int, TensorTable, int]:
    """Returns the encoder nearest to the root, the table of its parts, and the number of its blocks."""
    for node in objects.walk():
        for table in (_ATTRIBUTES, _numbered(0)):
            if objects.find(node, *table.foreign_names("token_table")) is None:
                continue
            blocks = 0
            while objects.find(node, table.foreign_names("query", blocks)[0].rpartition("/_query_dense/")[0]):
                blocks += 1
            if blocks and objects.key(node, *table.foreign_names("position_table")):
                return node, table if table is _ATTRIBUTES else _numbered(blocks), blocks
    raise BundleError(
        f"{objects.checkpoint} holds no BertEncoder or BertEncoderV2 of the Model Garden: expected embeddings, "
        "positions and blocks with _attention_layer"
    )


def _find_config(
    objects: _Objects, encoder: int, table: TensorTable, blocks: int, options: ConversionSettings
) -> BertConfig:
    """Returns the config of the model: sizes from the tensors, and the other settings from bert_config.json."""
    checkpoint = objects.checkpoint

    def shape(part: str, rank: int) -> list[int]:
        name = table.foreign_names(part)[0]
        found = checkpoint.shapes.get(objects.key(encoder, name) or "")
        if found is None or len(found) != rank or not all(found):
            raise BundleError(f"{checkpoint}: expected the tensor {name} with {rank} dimensions. Received: {found}")
        return found

    vocabulary, width = shape("token_table", 2)
    sizes: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "num_hidden_layers": blocks,
        "num_attention_heads": shape("query", 3)[1],
        "intermediate_size": shape("intermediate", 2)[1],
        "max_position_embeddings": shape("position_table", 2)[0],
        "type_vocab_size": shape("type_table", 2)[0],
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
    encoder: TensorTable,
    config: BertConfig,
    keys: dict[str, str | None],
    options: ConversionSettings,
) -> list[Entry]:
    """Returns the entries of the heads of a pretrainer or a classifier, and adds their variable names to `keys`.

    A classification head may have its own pooler. It replaces the encoder's pooler, because only one of the two was
    trained.
    """
    masked_lm, projections, pooler = None, [], None
    for node in objects.walk():
        children = objects.children(node)
        if masked_lm is None and "embedding_table" in children and "layer_norm" in children and "dense" in children:
            masked_lm = node
        if "out_proj" in children and node not in projections:
            projections.append(node)
        pooler = pooler if pooler is not None else children.get("next_sentence.pooler_dense")
    entries: list[Entry] = []
    if masked_lm is not None:
        entries += _MASKED_LM.entries(config)
        keys |= {entry.foreign: objects.key(masked_lm, entry.foreign) for entry in entries}
        (bias,) = _MASKED_LM.foreign_names("mlm_bias")
        keys[bias] = keys[bias] or objects.key(masked_lm, "bias")
    if len(projections) > 1:
        raise BundleError(f"{objects.checkpoint} has {len(projections)} heads; --encoder-only ignores them")
    if projections:
        key = objects.key(projections[0], _CLASSIFIER.foreign_names("classifier")[1])
        classes = (objects.checkpoint.shapes.get(key or "") or [0])[0]
        if masked_lm is not None and classes != 2:
            raise BundleError(
                f"{objects.checkpoint}: a head beside the masked language model must have 2 classes, as next sentence "
                f"prediction has. Received: {classes}; --encoder-only ignores it"
            )
        head = (_NEXT_SENTENCE if masked_lm is not None else _CLASSIFIER).entries(config, classes)
        keys |= {entry.foreign: objects.key(projections[0], entry.foreign) for entry in head}
        entries += head
        pooler = objects.children(projections[0]).get("dense", pooler)
    if pooler is not None:
        for name in encoder.foreign_names("pooler"):
            if key := objects.key(pooler, name.rpartition("/")[2]):
                keys[name] = key
        options.notes.append("the pooler is taken from the checkpoint's head, with which it was trained")
    return entries
