"""Training: one loop, two recipes, accuracy over readout times."""

from .evaluation import evaluate
from .loop import Interrupted, Settings, resume, train

__all__ = ["Interrupted", "Settings", "evaluate", "resume", "train"]
