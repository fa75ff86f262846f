"""Training: one loop, two recipes, accuracy over readout times."""

from ..errors import Interrupted
from .evaluation import evaluate
from .loop import resume, train
from .recalibrate import check_steps, recalibrate
from .state import Settings

__all__ = ["Interrupted", "Settings", "check_steps", "evaluate", "recalibrate", "resume", "train"]
