"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path

import click

from . import terminal

FOLDER = click.Path(path_type=Path)
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
