import os
import subprocess
import sys

import pytest

from kbert.runtime.huge_pages import tunables_for_huge_pages

MADVISE = "always [madvise] never\n"


@pytest.mark.parametrize(
    ("environment", "libc", "kernel", "expected"),
    [
        ({}, "glibc 2.36", MADVISE, "glibc.malloc.hugetlb=1"),
        (
            {"GLIBC_TUNABLES": "glibc.malloc.check=1"},
            "glibc 2.36",
            MADVISE,
            "glibc.malloc.check=1:glibc.malloc.hugetlb=1",
        ),
        ({"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"}, "glibc 2.36", MADVISE, None),
        ({}, "glibc 2.31", MADVISE, None),
        ({}, None, MADVISE, None),
        ({}, "glibc 2.36", "[always] madvise never\n", None),
        ({}, "glibc 2.36", "always madvise [never]\n", None),
    ],
)
def test_where_glibc_is_told(environment, libc, kernel, expected):
    assert tunables_for_huge_pages(environment, libc, kernel) == expected


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has transparent huge pages")
def test_the_program_starts_anew_once(tmp_path):
    """With its arguments; and the second time it goes on."""
    setting = tmp_path / "enabled"
    setting.write_text(MADVISE)
    program = tmp_path / "program.py"
    program.write_text(
        "import os, pathlib, sys\n"
        "from kbert.runtime import huge_pages\n"
        f"huge_pages._KERNEL_SETTING = pathlib.Path({str(setting)!r})\n"
        "print('at', os.getpid(), sys.argv[1:], os.environ.get('GLIBC_TUNABLES'), flush=True)\n"
        "huge_pages.restart_with_huge_pages()\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    command = [sys.executable, str(program), "pretrain", "--steps", "a b"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    first, second = (line.split(maxsplit=2) for line in done.stdout.splitlines())
    assert first[1] == second[1]  # the same process
    assert first[2] == "['pretrain', '--steps', 'a b'] None"
    assert second[2] == "['pretrain', '--steps', 'a b'] glibc.malloc.hugetlb=1"
