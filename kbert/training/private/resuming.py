"""What a resumed private run forgets: results of steps that a stopped run had done after its last checkpoint.

These steps are done again, with other draws and other noise. Their ε is not counted, so nothing of them may remain.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from kbert.training.run_folder.best_weights import BestWeights


def remove_tensorboard_files(folder: Path) -> None:
    """Removes TensorBoard's files of a stopped run, which may have metrics of such steps. metrics.jsonl has the others.

    Args:
        folder: The folder of TensorBoard's files.
    """
    shutil.rmtree(folder, ignore_errors=True)


class ForgetLaterWeights:
    """An observer that removes the best weights if they are of a later step than the checkpoint that a run starts from.

    Args:
        best: The best weights of the stopped run.
    """

    def __init__(self, best: BestWeights) -> None:
        self._best = best
        self._is_start = True

    def boundary(self, step: int) -> int:
        """Returns no boundary."""
        return sys.maxsize

    def reached(self, step: int) -> None:
        """Removes the weights at the start of the run."""
        if self._is_start:
            self._best.forget_after(step)
            self._is_start = False

    def close(self) -> None:
        """Does nothing."""
