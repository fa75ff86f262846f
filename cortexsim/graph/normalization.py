"""How the activity of a graph is normalized, as data."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..errors import unknown
from .validate_parts import InvalidPartError

STATISTICS = ("time-specific", "shared")
SCALE_SHIFT = ("none", "shared", "time-specific")


@dataclass(frozen=True)
class Normalization:
    """What is shared over time of the normalizations, and what they learn.

    The post-net is not meant: it always has one scale and one shift of its own.

    Parameters
    ----------
    statistics
        ``"time-specific"``, the paper's: means and variances of their own at each
        index; or ``"shared"``: one mean and one variance for all.
    scale_shift
        ``"none"``, the paper's; ``"shared"``: one learned scale and shift for each
        place that normalizes; or ``"time-specific"``: one for each index too, to the
        trained time.
    """

    statistics: str = "time-specific"
    scale_shift: str = "none"

    def __post_init__(self) -> None:
        """Check both words."""
        for key, allowed in (("statistics", STATISTICS), ("scale_shift", SCALE_SHIFT)):
            if getattr(self, key) not in allowed:
                problem = unknown(f"{key} of normalization", getattr(self, key), allowed)
                raise InvalidPartError(problem, (key,))

    def to_dict(self) -> dict[str, str]:
        """Return what differs from the default."""
        return {field.name: getattr(self, field.name) for field in fields(self)
                if getattr(self, field.name) != field.default}
