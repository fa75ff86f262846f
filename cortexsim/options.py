"""Options that several commands have, or that belong together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from . import places, terminal
from .terminal import Whole

Command = TypeVar("Command", bound=Callable[..., Any])


class Folder(click.Path):
    """A file or folder of this machine, or, where a command can do with it, of an object store."""

    def __init__(self, anywhere: bool = False) -> None:
        super().__init__(path_type=Path)
        self.anywhere = anywhere

    def convert(self, value: Any, parameter: click.Parameter | None,
                ctx: click.Context | None) -> Any:
        """Return the place that a user named."""
        found = places.place(value)
        if places.far(found) and not self.anywhere:
            self.fail(f"'{value}' is in an object store, where recordings and what is made of "
                      "them can be: give a folder of this machine", parameter, ctx)
        return found if places.far(found) else super().convert(str(found), parameter, ctx)


#: A path of this machine; a place there or in an object store.
FOLDER, PLACE = Folder(), Folder(anywhere=True)
data_root = click.option(
    "--data-root", type=FOLDER,
    help="Folder with data sets that do not come along "
         "[the variable CORTEXSIM_DATA, or ~/.cache/cortexsim].")
device = click.option("--device", callback=terminal.filled,
                      help="Where to compute: cpu, cuda or cuda:N [cuda where there is one].")
beyond = click.option(
    "--beyond", type=click.Choice(["error", "last"]), default="error",
    help="At steps past those a network was calibrated for: stop with an error, or normalize "
         "as at the last of them.")

_GRAPH = (
    click.option("--areas", callback=terminal.words, metavar="V1,V2,V4,IT",
                 help="Names of the areas, in order [V1,V2,V4,IT]."),
    click.option("--connectivity", type=click.Choice(["adjacent", "full"]),
                 help="Connect neighbouring areas, or all areas with each other [adjacent]."),
    click.option("--channels", callback=terminal.numbers, metavar="24,32,48,64",
                 help="Channels of each area [24,32,48,64 for four areas]."),
    click.option("--sizes", callback=terminal.numbers, metavar="16,8,8,4",
                 help="Rows, and columns, of each area's maps [16,8,8,4 for four areas]."),
    click.option("--self-transitions/--no-self-transitions", default=None,
                 help="Whether areas connect to themselves, laterally [yes]."),
    click.option("--feedback/--no-feedback", default=None,
                 help="Whether later areas connect back to earlier ones [yes]."),
    click.option("--bypass/--no-bypass", default=None,
                 help="Whether connections skip areas [yes if --connectivity full]."),
    click.option("--gain", type=float,
                 help="What an area keeps of its state from step to step; below 1 it leaks [1]."),
    click.option("--readout-time", type=Whole(min=1),
                 help="Steps after which classes are read from the last area [10]."),
    click.option("--input", "input_mode", type=click.Choice(["onset", "sustained"]),
                 help="The image drives the first area at the first step only, or at every step "
                      "[sustained]."),
    click.option("--weights", type=click.Choice(["shared", "per-step"]),
                 help="The same weights at all steps, or others at each [shared]."),
    click.option("--pre-net", type=click.Choice(["0", "1", "3"]),
                 help="Convolutions between the image and the first area [1]."),
    click.option("--pre-net-channels", type=Whole(min=1),
                 help="Channels between those convolutions [the first area's]."),
    click.option("--statistics", type=click.Choice(["time-specific", "shared"]),
                 help="Normalize by statistics of each step, or by one set for all "
                      "[time-specific]."),
    click.option("--scale-shift", type=click.Choice(["none", "shared", "time-specific"]),
                 help="Learn no scale and shift after normalizing, the same for all steps, or "
                      "others at each [none]."),
    click.option("--graph", "graph_name", callback=terminal.filled, metavar="FILE",
                 help="The area graph, in place of all options above: a YAML file, or a name that "
                      "'cortexsim graph --list' lists."),
)

_WORKERS = (
    click.option("--workers", type=Whole(min=1), metavar="N",
                 help="Compute in N processes of this machine, which takes Dask: pip install "
                      "'cortexsim[cluster]' [this one alone]."),
    click.option("--scheduler", callback=terminal.filled, metavar="ADDRESS",
                 help="Compute on a Dask cluster: the address of its scheduler, tcp://HOST:PORT, "
                      "or its scheduler file. Its workers need the same CortexSim, and see --out, "
                      "the network and the images under the same names."),
)

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


def area_graph(command: Command) -> Command:
    """Give a command the options that describe an area graph."""
    return _with(_GRAPH, command)


def workers(command: Command) -> Command:
    """Give a command the options that say who computes."""
    return _with(_WORKERS, command)


def sequence(command: Command) -> Command:
    """Give a command the options of a sequence."""
    return _with(_SEQUENCE, command)


def _with(options: Sequence[Callable[[Command], Command]], command: Command) -> Command:
    for option in reversed(options):
        command = option(command)
    return command
