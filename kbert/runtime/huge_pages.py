"""Huge pages for the memory of tensors; glibc uses them only if a variable is set before the program starts.

A training step goes through hundreds of megabytes; with pages of 4 KiB the processor spends a part of its time on the
addresses of the pages. With pages of 2 MiB a step of the small model took a sixth less time (two cores of a virtual
machine).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

_TUNABLES = "GLIBC_TUNABLES"
_TUNABLE = "glibc.malloc.hugetlb"
_FIRST_GLIBC = (2, 35)
_KERNEL_SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def restart_with_huge_pages() -> None:
    """Starts the program again in the same process, with GLIBC_TUNABLES set; does nothing where that does not help.

    A tunable glibc.malloc.hugetlb that is set already is kept: 0 means small pages.
    """
    if sys.platform != "linux":
        return
    try:
        tunables = tunables_for_huge_pages(os.environ, os.confstr("CS_GNU_LIBC_VERSION"), _KERNEL_SETTING.read_text())
        if tunables is not None:
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, _TUNABLES: tunables})
    except (OSError, ValueError):
        return  # a system that hides its settings, or refuses the restart, keeps small pages


def tunables_for_huge_pages(environment: Mapping[str, str], libc: str | None, kernel: str) -> str | None:
    """Returns the value for GLIBC_TUNABLES; None if the tunable has no effect on this system, or is set already.

    Args:
        environment: The environment variables of the program.
        libc: The C library, such as "glibc 2.36"; None if it is another one.
        kernel: The kernel's setting, such as "always [madvise] never". With "always" all memory has huge pages anyway.
    """
    tunables = environment.get(_TUNABLES, "")
    if libc is None or _TUNABLE in tunables or "[madvise]" not in kernel:
        return None
    version = tuple(int(part) for part in libc.split()[-1].split("."))
    if version < _FIRST_GLIBC:
        return None
    return f"{tunables}:{_TUNABLE}=1".lstrip(":")
