"""The whole way from text to a served model, through the public functions of kbert."""

from kbert.quickstart.options import QuickstartOptions
from kbert.quickstart.run import quickstart

__all__ = ["QuickstartOptions", "quickstart"]
