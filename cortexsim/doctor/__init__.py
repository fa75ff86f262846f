"""What a user pastes into a bug report: what is there, what is wrong, whether it computes right.

Each section is found out by itself: one that fails says why, and the others go on. Nothing
that names a person or a machine is in the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from . import network, software, surroundings
from .section import Section

#: In the order in which they are told; what loads torch, whose failures may end the process, or
#: takes long, comes last.
SECTIONS: tuple[tuple[str, Callable[[Section], None]], ...] = (
    ("CortexSim", software.installation),
    ("packages", software.packages),
    ("memory and disk", surroundings.memory_and_disk),
    ("processors", surroundings.processors),
    ("data", surroundings.data),
    ("self-test", network.selftest),
)


def examine(sections: tuple[tuple[str, Callable[[Section], None]], ...] = SECTIONS,
            ) -> Iterator[Section]:
    """Find out about this installation and this machine, section by section.

    Parameters
    ----------
    sections
        Title of each, and the function that fills it.

    Yields
    ------
    Section
        As soon as it is known.
    """
    for title, fill in sections:
        section = Section(title)
        try:
            fill(section)
        except Exception as problem:  # whatever is broken here is what doctor is asked about
            section.failed(problem)
        yield section
