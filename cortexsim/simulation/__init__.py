"""Running networks through protocols, and recording what they do."""

from .cluster import Cluster
from .estimate import Estimate, estimate
from .loop import simulate
from .precision import Comparison, check_precision
from .record import Record

__all__ = ["Cluster", "Comparison", "Estimate", "Record", "check_precision", "estimate", "simulate"]
