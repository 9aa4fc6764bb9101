"""The folder of a run, and run.json, the record of the run's options, with which a resumed run must agree."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import BundleError, KbertError, UsageError, shown
from kbert.model_folder.file_names import RUN_FILE
from kbert.options import OptionInfo, Spell, option_error

CHECKPOINT_FOLDER = "checkpoints"
ENVIRONMENT_FILE = "environment.json"
SAMPLES_FILE = "samples.jsonl"
LEARNING_RATES_FILE = "lr_finder.json"
WORST_EXAMPLES_FILE = "worst_examples.json"
"""This file contains texts of the user, so it is not part of the model."""
ROUNDS_FOLDER = "rounds"
"""The folder for the earlier rounds of pruning, which is removed at the end."""
_BEFORE_A_RUN = (LEARNING_RATES_FILE, ROUNDS_FOLDER)
"""The files and folders that are allowed in a folder before a run claims it."""
_FORMAT = 2
_LENGTHS = ("steps", "epochs", "phases")
"""The options that determine the length of a run."""
_CONTENTS: Mapping[str, tuple[str, ...]] = {"data": ("train", "validation")}
"""The options that a digest in `RunRecord.contents` covers, if its name is not the name of the option."""


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """The record of a run in run.json.

    Args:
        command: The command, such as "pretrain".
        options: The remembered options, as they were given.
        defaults: The values of options that were not given and whose defaults depend on the model or the data.
        contents: The digests of the files that options name, such as the data and the model.
        derived: Other values that affect the result and follow from the options, such as the schedule.
    """

    command: str
    options: Mapping[str, Any]
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    contents: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    derived: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def value(self, name: str) -> Any:
        """Returns the value of an option as it was given, or else its default."""
        value = self.options.get(name)
        return self.defaults.get(name) if value is None else value

    def as_json(self) -> dict[str, Any]:
        """Returns the record as JSON."""
        found: dict[str, Any] = json.loads(json.dumps({"format": _FORMAT, **dataclasses.asdict(self)}))
        return found

    @classmethod
    def load(cls, path: Path) -> RunRecord:
        """Reads run.json.

        Raises:
            BundleError: The file is damaged.
            UsageError: An earlier version of kbert wrote it.
        """
        return cls._from_json(files.read_json(path, BundleError), path)

    @classmethod
    def _from_json(cls, found: Any, path: Path) -> RunRecord:
        if not isinstance(found, dict) or found.pop("format", None) != _FORMAT:
            raise UsageError(
                f"{path.parent} was started with another version of kbert, and this version does not continue it; "
                "choose another --output"
            )
        return cls(**found)


def flat_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Returns run.json as one flat dictionary: the command, the options with defaults, digests and derived values.

    If several parts have the same name, the derived value takes precedence, then the option, then the default.
    """
    parts = ("contents", "defaults", "options", "derived")
    flat = {name: value for name, value in record.items() if name not in (*parts, "format")}
    for part in parts:
        values = record.get(part, {}).items()
        flat |= {name: value for name, value in values if value is not None or name not in flat}
    return flat


def earlier_record(folder: Path, *, resume: bool, file: str = RUN_FILE) -> RunRecord | None:
    """Reads the record of the run that is resumed, or returns None if a new run starts.

    Args:
        folder: The folder of the run.
        resume: Whether the run may be resumed.
        file: The name of the file with the record.

    Raises:
        UsageError: An earlier version of kbert wrote the record.
    """
    path = folder / file
    return RunRecord.load(path) if resume and path.exists() else None


def open_run(
    folder: Path,
    record: RunRecord,
    *,
    infos: Mapping[str, OptionInfo],
    resume: bool,
    longer: bool = False,
    file: str = RUN_FILE,
) -> None:
    """Claims a folder for a run, or checks that the folder belongs to the same run.

    Args:
        folder: A new or empty folder or, with `resume`, the folder of an earlier run.
        record: The record of the run.
        infos: The descriptions of the options, which determine the options that may differ when a run is resumed.
        resume: Whether to resume an earlier run.
        longer: Whether the run may have more `steps` than before; the new number is then recorded.
        file: The name of the file with the record.

    Raises:
        UsageError: The folder holds a different run, or other files.
    """
    path = folder / file
    record = RunRecord._from_json(record.as_json(), path)  # tuples become lists, as in the file
    if path.exists():
        if not resume:
            raise UsageError(f"{folder} holds a run; add --resume to continue it, or choose another --output")
        before = RunRecord.load(path)
        if longer and record.options["steps"] > before.options["steps"]:
            before = _with_steps(before, record)
            _check_same(folder, before, record, infos)
            files.write_json(path, record.as_json())
            return
        _check_same(folder, before, record, infos)
        return
    files.check_new_folder(folder, ignored=_BEFORE_A_RUN.__contains__, alternative=", or a run to --resume")
    files.write_json(path, record.as_json())


def _with_steps(before: RunRecord, record: RunRecord) -> RunRecord:
    """Returns a copy of the record `before` with the number of steps of `record`."""
    same = {name: record.derived[name] for name in ("steps", "schedule") if name in record.derived}
    return dataclasses.replace(
        before,
        options={**before.options, "steps": record.options["steps"]},
        derived={**before.derived, **same},
    )


def _check_same(folder: Path, before: RunRecord, now: RunRecord, infos: Mapping[str, OptionInfo]) -> None:
    """Checks that two records belong to the same run.

    Raises:
        OptionError: The records differ. The message names the option that differs, as it was given.
    """
    if before.command != now.command:
        raise UsageError(
            f"{folder} was started by `kbert {before.command}`. Received: `kbert {now.command}`; choose another "
            "--output"
        )
    for name in dict.fromkeys((*now.options, *before.options)):
        is_free = name in infos and infos[name].free
        is_same = before.options.get(name) == now.options.get(name) or before.value(name) == now.value(name)
        if not is_free and not is_same:
            raise option_error(lambda spell: _difference(folder, name, before, now, spell), infos)  # noqa: B023
    for name in dict.fromkeys((*now.contents, *before.contents)):
        if before.contents.get(name) != now.contents.get(name):
            raise option_error(lambda spell: _other_content(folder, name, before, now, spell), infos)  # noqa: B023
    for name in dict.fromkeys((*now.derived, *before.derived)):
        if before.derived.get(name) != now.derived.get(name):
            old, new = _differing(before.derived.get(name), now.derived.get(name))
            raise UsageError(
                f"{folder} was started with another {name.replace('_', ' ')}: {shown(old)}. Received: {shown(new)}; "
                "choose another --output"
            )


def _difference(folder: Path, name: str, before: RunRecord, now: RunRecord, spell: Spell) -> str:
    way_out = "resume with the same, or choose another --output"
    if name in _LENGTHS:
        way_out = (
            f"resume with the same; to train longer, start another run from the finished one with "
            f"{spell('model', str(folder))} and another {spell('output')}"
        )
    return (
        f"{folder} was started with {spell(name, before.value(name))}. Received: {spell(name, now.value(name))}; "
        f"{way_out}"
    )


def _other_content(folder: Path, name: str, before: RunRecord, now: RunRecord, spell: Spell) -> str:
    old, new = before.options.get(name), now.options.get(name)
    way_out = "resume with the same, or choose another --output"
    if old != new:
        return f"{folder} was started with {spell(name, old)}. Received: {spell(name, new)}, which differs; {way_out}"
    names = " or ".join(spell(each) for each in _CONTENTS.get(name, (name,)))
    return f"the content of {names} is not the one that {folder} was started with; {way_out}"


def _differing(old: Any, new: Any) -> tuple[Any, Any]:
    """Returns two values; if both are mappings, returns only the entries that differ."""
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        return old, new
    names = [name for name in dict.fromkeys((*old, *new)) if old.get(name) != new.get(name)]
    return {name: old.get(name) for name in names}, {name: new.get(name) for name in names}


@contextlib.contextmanager
def unclaimed_on_error(folder: Path, file: str, *, is_new: bool) -> Iterator[None]:
    """Releases the folder of several runs if the first run fails before it starts, since the command was wrong.

    Args:
        folder: The folder that `open_run` claimed.
        file: The name of the file with the record.
        is_new: Whether the folder did not exist before.
    """
    try:
        yield
    except KbertError:
        if {path.name for path in folder.iterdir()} - {*_BEFORE_A_RUN} == {file}:
            (folder / file).unlink()
            if is_new:
                folder.rmdir()
        raise
