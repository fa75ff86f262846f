"""Training: one loop, two recipes, accuracy over readout times."""

from ..errors import Interrupted
from .evaluation import evaluate
from .loop import resume, train
from .state import Settings

__all__ = ["Interrupted", "Settings", "evaluate", "resume", "train"]
