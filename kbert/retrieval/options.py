"""The options of building an index, and of searching in it."""

from __future__ import annotations

import dataclasses

from kbert import files
from kbert.model_folder.sentence_transformers import POOLINGS, SIMILARITIES
from kbert.options import Options, option, with_documented_fields
from kbert.prediction.options import EngineOptions
from kbert.tasks.options import TableOptions
from kbert.tasks.task_info import COLUMNS_SECTION

DTYPES = ("float32", "float16")


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class BuildIndexOptions(EngineOptions, TableOptions):
    """The options of `kbert.build_index`.

    Example:
        >>> options = kbert.BuildIndexOptions(input="documents", output="index", dtype="float16")
        >>> options.batch_size, options.ann
        (64, False)
    """

    input: files.PathLike = option(
        help="A folder of text files, one document per paragraph; JSON lines, a table, or a dataset such as "
        'hf-datasets:NAME with "id" and "text"; or a SMART collection.',
        details="A table can also be a Parquet file or a sheet of an Excel workbook.",
        path="data",
    )
    output: files.PathLike = option(help="The folder to write, which must be new.", path="output-folder")
    dtype: str = option("float32", "The dtype of the stored vectors; float16 halves their size.", choices=DTYPES)
    ann: bool = option(False, "Also build a graph for approximate search; needs the extra kbert[ann].")
    batch_size: int = option(64, "The number of texts that are processed together.", minimum=1)
    skip_bad: int = option(0, "Skip and count up to N invalid documents.", minimum=0, metavar="N")
    text_column: str | None = option(
        None,
        "Column, or key, of texts: a name, a 1-based number, or several such as title,body, which are joined.",
        default_help="text, with title before it if there is one",
        section=COLUMNS_SECTION,
    )
    id_column: str | None = option(
        None,
        'Column, or key, of ids: a name, a 1-based number, or "" to number documents by their lines.',
        default_help="_id, id or another usual name such as docid, if there is one",
        section=COLUMNS_SECTION,
    )
    pooling: str | None = option(
        None,
        "How the vectors of the tokens are combined, if the files of the model do not define it.",
        choices=POOLINGS,
    )
    prompt: str | None = option(
        None,
        "The text that is put before each document, such as 'passage: '.",
        default_help='the prompt "document", "passage" or "corpus" of the model, if it has one',
    )
    prompt_name: str | None = option(None, "The name of a prompt of the model, instead of `prompt`.")
    query_prompt: str | None = option(
        None,
        "The text that is put before each query, such as 'query: '.",
        default_help='the prompt "query" of the model, if it has one',
    )
    query_prompt_name: str | None = option(None, "The name of a prompt of the model, instead of `query_prompt`.")
    similarity: str | None = option(
        None, "The similarity of vectors.", default_help="as in the model", choices=SIMILARITIES
    )


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchOptions(Options):
    """The options of `kbert.search` and `kbert.measure_search`.

    Example:
        >>> kbert.SearchOptions(top=0)
        Traceback (most recent call last):
            ...
        kbert.options.errors.OptionError: top must be at least 1. Received: top=0
    """

    top: int = option(5, "The number of results for each query.", minimum=1)
    model: files.PathLike | None = option(None, "The folder of the model of the index, if it was moved.", path="model")
    ann: bool = option(False, "Use approximate search; the index must have been built with `ann`.")
    rerank: files.PathLike | None = option(
        None,
        "Re-rank the results with this model of `kbert finetune ranking`, or with this cross-encoder.",
        path="model",
    )
    depth: int = option(
        50,
        "The number of results that are re-ranked; the others follow in the order of the search.",
        minimum=1,
    )
    prompt: str | None = option(
        None, "The text that is put before each query, such as 'query: '.", default_help="as in the index"
    )
    prompt_name: str | None = option(None, "The name of a prompt of the model, instead of `prompt`.")


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasureSearchOptions(SearchOptions, TableOptions):
    """The options of `kbert.measure_search`: those of a search, and the format of queries and judgements.

    Example:
        >>> kbert.MeasureSearchOptions(encoding="latin-1").table_format.encoding
        'latin-1'
    """
