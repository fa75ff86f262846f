"""Options that belong together, for commands that take them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from .terminal import Whole

Command = TypeVar("Command", bound=Callable[..., Any])

_SEQUENCE = (
    click.option("--sequence", type=click.Choice(["last", "first", "previous"]),
                 help="Train on sequences of images: name the one that is on (the last so far), "
                      "the first, or the one before. The readout time is then the end of the "
                      "sequence [one image]."),
    click.option("--images-per-sequence", type=Whole(min=1),
                 help="Images of a sequence [4]."),
    click.option("--steps-per-image", type=Whole(min=1),
                 help="Steps that each of them is on [3]."),
    click.option("--answers", type=click.Choice(["each", "end"]),
                 help="Ask at each image of a sequence, or at the last alone [each]."),
    click.option("--answer-delay", type=Whole(min=0),
                 help="Steps by which answers come later than their images [0]."),
)


def sequence(command: Command) -> Command:
    """Give a command the options of a sequence."""
    for option in reversed(_SEQUENCE):
        command = option(command)
    return command
