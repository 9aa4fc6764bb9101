import re

import pytest
from google.protobuf import text_format
from tensorflow.core.framework import op_def_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.python.client import pywrap_tf_session

from kbert.errors import ServingError
from kbert.serving.served_models.graph_check import check_graph
from kbert.serving.served_models.operations import danger_of


def node(name, op, *inputs, **attributes):
    """The text of a NodeDef; attributes are texts of AttrValue."""
    lines = [f'name: "{name}" op: "{op}"', *(f'input: "{each}"' for each in inputs)]
    lines += [f'attr {{ key: "{key}" value {{ {value} }} }}' for key, value in attributes.items()]
    return " ".join(lines)


def function(name, arguments, *nodes, attributes=""):
    """The text of a FunctionDef, with arguments of strings."""
    signature = f'name: "{name}" ' + " ".join(f'input_arg {{ name: "{each}" type: DT_STRING }}' for each in arguments)
    return f"signature {{ {signature} }} {attributes} " + " ".join(f"node_def {{ {each} }}" for each in nodes)


def meta_graph(*nodes, functions=(), output="answer:0", init="", assets=(), more=""):
    """A MetaGraphDef with one signature, an operation that initializes, and assets."""
    library = " ".join(f"function {{ {each} }}" for each in functions)
    text = f"graph_def {{ library {{ {library} }} {' '.join(f'node {{ {each} }}' for each in nodes)} }} "
    text += (
        f'signature_def {{ key: "serving_default" value {{ outputs {{ key: "y" value {{ name: "{output}" }} }} }} }}'
    )
    if init:
        text += f'collection_def {{ key: "saved_model_main_op" value {{ node_list {{ value: "{init}" }} }} }}'
    for tensor, filename in assets:
        text += f'asset_file_def {{ tensor_info {{ name: "{tensor}" }} filename: "{filename}" }}'
    message = text_format.Parse(text, meta_graph_pb2.MetaGraphDef())
    message.MergeFrom(text_format.Parse(more, meta_graph_pb2.MetaGraphDef()))
    return message


def call(name, called, *inputs, op="StatefulPartitionedCall", **attributes):
    return node(name, op, *inputs, f=f'func {{ name: "{called}" }}', **attributes)


READS = (node("path", "Const"), node("answer", "ReadFile", "path"))
HOSTILE = function("hostile", [], *READS)


def refused(message, what="accesses files or the network", **options):
    with pytest.raises(ServingError, match=rf"^expected .*{re.escape(what)}"):
        check_graph(message, **options)


def test_a_graph_that_computes_is_served():
    check_graph(meta_graph(node("x", "Placeholder"), node("answer", "Neg", "x")))


@pytest.mark.parametrize(
    ("operation", "what"),
    [
        ("ReadFile", "accesses files or the network"),
        ("WriteFile", "accesses files or the network"),
        ("ExperimentalMatchingFilesDataset", "accesses files or the network"),
        ("CSVDatasetV2", "accesses files or the network"),
        ("SnapshotChunkDataset", "accesses files or the network"),
        ("DistributedSave", "accesses files or the network"),
        ("RestoreV2", "accesses files or the network"),
        ("EagerPyFunc", "runs Python code"),
        ("PyFuncStateless", "runs Python code"),
        ("DatasetFromGraph", "runs a program that cannot be checked"),
        ("XlaCustomCallV2", "runs a program that cannot be checked"),
        ("Abort", "ends the process"),
        ("InitializeTableFromTextFileV2", "reads a file that is not one of the model's assets"),
    ],
)
def test_dangerous_operations_are_refused_where_they_run(operation, what):
    nodes = [node("x", "Const"), node("bad", operation, "x", "x")]
    check_graph(meta_graph(*nodes, node("answer", "Neg", "x")))
    refused(meta_graph(*nodes, node("answer", "Neg", "bad")), what)
    refused(meta_graph(*nodes, node("answer", "Neg", "x", "^bad")), what)
    refused(meta_graph(*nodes, node("answer", "Neg", "x"), init="bad"), what)


@pytest.mark.parametrize(
    ("operation", "attribute", "harmless", "hostile"),
    [
        ("PrintV2", "output_stream", 's: "stderr"', 's: "file:///tmp/x"'),
        ("PrintV2", "output_stream", 's: "stderr"', 'placeholder: "x"'),
        ("DecodeProtoV2", "descriptor_source", 's: "bytes://abc"', 's: "/etc/passwd"'),
        ("EncodeProto", "descriptor_source", 's: "local://"', 's: "/etc/passwd"'),
        ("FixedUnigramCandidateSampler", "vocab_file", 's: ""', 's: "/etc/passwd"'),
    ],
)
def test_attributes_may_name_a_file(operation, attribute, harmless, hostile):
    check_graph(meta_graph(node("answer", operation, **{attribute: harmless})))
    refused(meta_graph(node("answer", operation, **{attribute: hostile})))


@pytest.mark.parametrize(
    "answer",
    [
        call("answer", "hostile"),
        node("answer", "hostile"),
        node("answer", "Case", branches='list { func { name: "hostile" } }'),
        node("answer", "MapDataset", f='func { name: "hostile" }'),
        node("answer", "SomeOp", handler='s: "hostile"'),
        node(
            "answer", "PartitionedCall", f='func { name: "outer" attr { key: "g" value { func { name: "hostile" } } } }'
        ),
    ],
)
def test_functions_are_followed_however_they_are_named(answer):
    outer = function("outer", [], node("inner", "PartitionedCall", f='placeholder: "g"'))
    check_graph(meta_graph(node("answer", "Const"), functions=[HOSTILE, outer]))
    refused(meta_graph(answer, functions=[HOSTILE, outer]))


def test_functions_that_may_replace_a_called_one_are_followed():
    implements = 'attr { key: "api_implements" value { s: "f" } }'
    harmless = function("harmless", [], node("answer", "Const"), attributes=implements)
    replacing = function("replacing", [], *READS, attributes=implements)
    check_graph(meta_graph(call("answer", "harmless"), functions=[harmless, HOSTILE]))
    refused(meta_graph(call("answer", "harmless"), functions=[harmless, replacing]))


def test_gradient_functions_are_followed():
    forward = function("forward", [], node("answer", "Const"))
    gradient = 'graph_def { library { gradient { function_name: "forward" gradient_func: "hostile" } } }'
    refused(meta_graph(call("answer", "forward"), functions=[forward, HOSTILE], more=gradient))


def test_names_are_unique():
    twice = [node("answer", "Const"), node("answer", "ReadFile", "answer")]
    refused(meta_graph(*twice), "different names in the graph. Received: the name 'answer' twice")
    functions = [function("f", [], node("a", "Const")), function("f", [], *READS)]
    refused(meta_graph(call("answer", "f"), functions=functions), "the name 'f' twice")
    refused(meta_graph(call("answer", "f"), functions=[function("f", [], *twice)]), "the name 'answer' twice")


# === Assets ===

TABLE = node("table", "HashTableV2")
PATH = node("path", "Const")
READS_ASSET = node("load", "InitializeTableFromTextFileV2", "table", "asset")
NO_ASSET = "reads a file that is not one of the model's assets"


def with_table(*nodes, functions=(), assets=(("asset:0", "words.txt"),), init="load", more=""):
    answer = node("answer", "LookupTableFindV2", "table")
    return meta_graph(TABLE, answer, *nodes, functions=functions, assets=assets, init=init, more=more)


def test_the_initialization_may_read_assets():
    check_graph(with_table(node("asset", "Const"), READS_ASSET))
    passed = [node("const", "Const"), node("asset", "Identity", "const")]
    check_graph(with_table(*passed, READS_ASSET, assets=[("const:0", "words.txt")]))
    refused(with_table(node("asset", "Const"), READS_ASSET, assets=()), NO_ASSET)


def test_the_answer_may_not_read_assets_since_their_names_are_given_to_the_initialization_alone():
    reads = node("answer", "InitializeTableFromTextFileV2", "table", "asset")
    refused(meta_graph(TABLE, node("asset", "Const"), reads, assets=[("asset:0", "words.txt")]), NO_ASSET)


def test_another_output_of_an_operation_is_not_the_asset():
    reads = node("load", "InitializeTableFromTextFileV2", "table", "asset:1")
    refused(with_table(node("asset", "Unpack"), reads), NO_ASSET)


def test_a_variable_may_keep_the_name_of_an_asset():
    # TensorFlow 2 writes models so.
    def nodes(*more, name="v"):
        return [
            node("asset", "Placeholder"),
            PATH,
            node("variable", "VarHandleOp", shared_name=f's: "{name}"'),
            node("assign", "AssignVariableOp", "variable", "asset"),
            node("read", "ReadVariableOp", "variable", "^assign"),
            node("load", "InitializeTableFromTextFileV2", "table", "read"),
            *more,
        ]

    check_graph(with_table(*nodes(node("other", "VarHandleOp", shared_name='s: "w"'))))
    refused(with_table(*nodes(node("again", "AssignVariableOp", "variable", "path"))), NO_ASSET)
    refused(with_table(*nodes(call("again", "f", "variable"))), NO_ASSET)
    refused(with_table(*nodes(node("alias", "VarHandleOp", shared_name='s: "v"'))), NO_ASSET)
    refused(with_table(*nodes(node("alias", "VarHandleOp"))), NO_ASSET)
    refused(with_table(*nodes(name="")), NO_ASSET)


IN_FUNCTION = function("f", ["table", "file"], node("read", "InitializeTableFromTextFileV2", "table", "file"))


def test_functions_may_read_assets_that_all_calls_pass():
    asset = node("asset", "Const")
    check_graph(with_table(asset, call("load", "f", "table", "asset"), functions=[IN_FUNCTION]))
    outer = function("g", ["t", "a"], call("inner", "f", "t", "a"))
    check_graph(with_table(asset, call("load", "g", "table", "asset"), functions=[IN_FUNCTION, outer]))
    for hostile in (call("other", "f", "table", "path"), call("other", "f", "table")):
        refused(
            with_table(asset, PATH, hostile, call("load", "f", "table", "asset"), functions=[IN_FUNCTION]), NO_ASSET
        )


def test_a_call_within_another_function_counts():
    nested = function("g", ["table"], PATH, call("inner", "f", "table", "path:output:0"))
    nodes = [node("asset", "Const"), call("load", "f", "table", "asset"), call("other", "g", "table")]
    refused(with_table(*nodes, functions=[IN_FUNCTION, nested]), NO_ASSET)


def test_arguments_of_other_operations_are_not_known():
    # The first input of If is its condition, so that its arguments are one position later.
    load = node("load", "If", "table", "asset", "path", then_branch='func { name: "f" }')
    refused(with_table(node("asset", "Const"), PATH, load, functions=[IN_FUNCTION]), NO_ASSET)


@pytest.mark.parametrize("filename", ["/etc/passwd", "../../secret", "a/../../b"])
def test_assets_are_in_the_folder_of_the_model(filename):
    refused(with_table(node("asset", "Const"), READS_ASSET, assets=[("asset:0", filename)]), "assets in the folder")


# === Variables ===

SAVER = 'saver_def { filename_tensor_name: "file:0" restore_op_name: "restore" save_tensor_name: "save:0" }'


def test_the_restoration_reads_the_variables_of_the_model_alone():
    nodes = [node("answer", "Const"), node("file", "Placeholder"), PATH]
    check_graph(meta_graph(*nodes, node("restore", "RestoreV2", "file", "names"), more=SAVER))
    refused(meta_graph(*nodes, node("restore", "RestoreV2", "path", "names"), more=SAVER))
    refused(meta_graph(*nodes, node("restore", "ReadFile", "file"), more=SAVER))
    restoring = function("r", ["prefix"], node("read", "RestoreV2", "prefix", "names"))
    check_graph(meta_graph(*nodes, call("restore", "r", "file"), functions=[restoring], more=SAVER))
    refused(meta_graph(*nodes, call("restore", "r", "path"), functions=[restoring], more=SAVER))


def test_the_whole_library_contains_functions_that_only_objects_call():
    objects = 'object_graph_def { concrete_functions { key: "hostile" value { } } }'
    message = meta_graph(node("answer", "Const"), functions=[HOSTILE], more=objects)
    check_graph(message)
    refused(message, whole_library=True)


@pytest.mark.parametrize(("kind", "is_refused"), [("asset", False), ("constant", True)])
def test_objects_pass_assets_to_their_functions(kind, is_refused):
    objects = (
        f"object_graph_def {{ nodes {{ resource {{ }} }} nodes {{ {kind} {{ }} }} "
        'concrete_functions { key: "f" value { bound_inputs: 0 bound_inputs: 1 } } }'
    )
    message = with_table(
        node("asset", "Const"), call("load", "f", "table", "asset"), functions=[IN_FUNCTION], more=objects
    )
    if is_refused:
        refused(message, NO_ASSET, whole_library=True)
    else:
        check_graph(message, whole_library=True)


# === All operations ===

# Operations whose inputs or attributes are called like a path, but which access no file.
HARMLESS = {"DecodeProtoV2", "EncodeProto", "FixedUnigramCandidateSampler", "PrintV2"}  # it depends on an attribute
HARMLESS |= {"CTCBeamSearchDecoder", "TensorSliceDataset", "SetStatsAggregatorDataset"}
HARMLESS |= {"ExperimentalSetStatsAggregatorDataset", "ShardedFilename", "ShardedFilespec"}


def test_all_operations_that_take_a_path_are_refused():
    import tensorflow_text  # noqa: F401  # it registers operations

    operations = op_def_pb2.OpList()
    operations.ParseFromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
    like_a_path = re.compile(r"(^|_)(file|path|directory|prefix|url|address|descriptor_source)", re.IGNORECASE)
    missed = set()
    for operation in operations.op:
        names = [each.name for each in (*operation.input_arg, *operation.attr)]
        placed = text_format.Parse(node("x", operation.name), meta_graph_pb2.MetaGraphDef().graph_def.node.add())
        if any(map(like_a_path.search, names)) and not danger_of(placed):
            missed.add(operation.name)
    assert missed - HARMLESS == set()
    assert len(operations.op) > 1000
