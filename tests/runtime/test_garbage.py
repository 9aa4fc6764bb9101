import subprocess
import sys


def test_objects_that_exist_are_no_longer_looked_at():
    program = (
        "import gc\n"
        "from kbert.runtime.garbage import keep_imported_objects\n"
        "keep_imported_objects()\n"
        "new = [[] for _ in range(3)]\n"
        "print(gc.get_freeze_count() > 1000, len(gc.get_objects()) < 1000)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"
