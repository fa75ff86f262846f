"""Protocols: what is shown when, and done to the network when, as data read from YAML.

A file's keys (`file`, `entries`, `values`) are given their meaning by `build`, with
`factors`, `timeline`, `pictures` and `interventions`, and become what `core` defines.
`strip` and `draw` show a protocol as text and as a picture.
"""

from .core import (
    DRAWN,
    GREY,
    INPUT_MODES,
    OTHER,
    OTHER_CATEGORY,
    SAME_CATEGORY,
    SET,
    TARGET,
    Change,
    Condition,
    Intervention,
    Picture,
    Presentation,
    Protocol,
    drawn,
)

__all__ = [
    "DRAWN", "GREY", "INPUT_MODES", "OTHER", "OTHER_CATEGORY", "SAME_CATEGORY", "SET", "TARGET",
    "Change", "Condition", "Intervention", "Picture", "Presentation", "Protocol", "drawn",
]
