"""Files: written atomically, listed by patterns, decompressed, read as lines of text.

Other modules use this package as one name: `from kbert import files`, then `files.read_lines(path)`.
"""

from kbert.files.atomic import atomic_directory, atomic_file, atomic_path, sync_directory, write_text
from kbert.files.compression import COMPRESSED, damage_as_error, is_compressed, open_binary, read_head
from kbert.files.digest import file_sha256
from kbert.files.folders import check_new_folder
from kbert.files.json_files import read_json, write_json
from kbert.files.lines import LineStart, has_wide_mark, line_start, read_line_blocks, read_lines, text_head
from kbert.files.paths import PathLike, expand_inputs

__all__ = [
    "COMPRESSED",
    "LineStart",
    "PathLike",
    "atomic_directory",
    "atomic_file",
    "atomic_path",
    "check_new_folder",
    "damage_as_error",
    "expand_inputs",
    "file_sha256",
    "has_wide_mark",
    "is_compressed",
    "line_start",
    "open_binary",
    "read_head",
    "read_json",
    "read_line_blocks",
    "read_lines",
    "sync_directory",
    "text_head",
    "write_json",
    "write_text",
]
