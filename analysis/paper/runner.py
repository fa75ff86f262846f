"""What all scripts of this folder share: options, trainings, the table."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import click
import configurations

from cortexsim.errors import CortexSimError
from cortexsim.training import sweep


@click.command()
@click.option("--scale", type=click.Choice(configurations.SCALES), default="small",
              help="The paper's own (for a GPU), or a small one (for two CPU cores).")
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the trainings "
              "[runs/paper-SCALE].")
@click.option("--data-root", type=click.Path(path_type=Path), help="Folder with CIFAR-10.")
@click.option("--seeds", type=click.IntRange(min=1), default=len(configurations.SEEDS),
              show_default=True, help="How many seeds.")
@click.option("--only", multiple=True, help="Only this configuration; may be given again.")
@click.pass_obj
def _command(names: Iterable[str] | None, scale: str, root: Path | None, data_root: Path | None,
             seeds: int, only: tuple[str, ...]) -> None:
    built = configurations.build(scale)
    chosen = [built[name] for name in only or names or built]
    root = root or Path("runs") / f"paper-{scale}"
    sweep.run(chosen, root, range(seeds), data_root=data_root,
              command=" ".join(["python", *sys.argv]),
              on_training=lambda name: click.echo(name, err=True))
    sweep.table(chosen, root, range(seeds)).to_csv(root / "table.csv", index=False)


def main(names: Iterable[str] | None) -> None:
    """Run a script's command line for these configurations, or all."""
    try:
        _command(obj=names, standalone_mode=True)
    except CortexSimError as problem:
        sys.exit(f"error: {problem}")
