"""Running networks through protocols, and recording what they do."""

from .estimate import Estimate, estimate
from .loop import simulate
from .record import Record

__all__ = ["Estimate", "Record", "estimate", "simulate"]
