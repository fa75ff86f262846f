"""The command line: each command parses, makes one library call, and prints where the result is."""

from __future__ import annotations

import shlex
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import __version__
from .errors import CortexSimError, GraphError

if TYPE_CHECKING:
    from .graph import AreaGraph

# Nothing heavy is imported before a command needs it: --help answers at once.


class Program(click.Group):
    """Turns what the user can put right into one sentence and exit status 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _note
                return super().invoke(ctx)
        except CortexSimError as problem:
            click.echo(f"cortexsim: {problem}", err=True)
            # stopped by the user, by the shell's convention; else a wrong input
            ctx.exit(130 if type(problem).__name__ == "Interrupted" else 2)
        except KeyboardInterrupt:
            click.echo("cortexsim: stopped; what was written so far is marked incomplete", err=True)
            ctx.exit(130)


def _note(message: Warning | str, *about: Any, **more: Any) -> None:
    """Print a warning as a sentence, without the line of code it came from."""
    click.echo(f"cortexsim: {message}", err=True)


def _words(ctx: click.Context, parameter: click.Parameter, value: str | None,
           ) -> tuple[str, ...] | None:
    return None if value is None else tuple(part.strip() for part in value.split(","))


def _numbers(ctx: click.Context, parameter: click.Parameter, value: str | None,
             ) -> tuple[int, ...] | None:
    if value is None:
        return None
    try:
        return tuple(int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"expected whole numbers as in 24,32,48,64, got '{value}'"
                                 ) from None


_data_root = click.option(
    "--data-root", type=click.Path(path_type=Path),
    help="Folder with data sets that do not come along [CORTEXSIM_DATA, or ~/.cache/cortexsim].")
_device = click.option("--device", help="cpu, cuda or cuda:N [cuda where there is one].")


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"],
                                            "show_default": True})
@click.version_option(__version__, prog_name="cortexsim")
def main() -> None:
    """Run trained recurrent vision networks as cortex-like dynamical systems."""


@main.command()
@click.argument("protocol")
@click.option("--model", help="Name of a network that comes along, or a checkpoint's path "
                              "[the protocol's].")
@click.option("--dataset", help="digits, digits-clean or cifar10 [the protocol's or the model's].")
@_data_root
@click.option("--trials", type=click.IntRange(min=1), help="The most trials to run.")
@click.option("--record", callback=_words, metavar="V1,IT", help="Areas to record [all].")
@click.option("--reduce", metavar="none|mean|units:N",
              help="Keep whole maps, means over space, or N sampled units per area.")
@_device
@click.option("--precision", type=click.Choice(["float32", "bf16"]), default="float32")
@click.option("--seed", type=click.IntRange(min=0), default=0,
              help="Of masks, clutter and the choice of stimuli.")
@click.option("--beyond", type=click.Choice(["error", "last"]), default="error",
              help="Past the calibrated time: stop, or use the last statistics.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder [runs/PROTOCOL-N].")
@click.option("--no-figure", is_flag=True, help="Record and print tables only.")
@click.option("--dry-run", is_flag=True, help="Say what it would do and take, and run nothing.")
def run(protocol: str, record: tuple[str, ...] | None, out: Path | None, no_figure: bool,
        dry_run: bool, **options: Any) -> None:
    """Run a PROTOCOL (a YAML file, or the name of one that comes along)."""
    from . import experiment

    options["areas"] = record
    if dry_run:
        prepared = experiment.prepare(protocol, **options)
        click.echo(prepared.protocol.describe())
        click.echo(str(prepared.estimate()))
        return
    result = experiment.run(protocol, out=out, figure=not no_figure, command=_command(), **options)
    click.echo(str(result.tables))
    click.echo(f"recording  {result.folder / experiment.RECORDING}")
    if result.figure:
        click.echo(f"figure     {result.figure}")


@main.command()
@click.option("--areas", callback=_words, metavar="V1,V2,V4,IT", help="Areas, in order.")
@click.option("--connectivity", type=click.Choice(["adjacent", "full"]),
              help="Connections between neighbours, or between all areas [adjacent].")
@click.option("--channels", callback=_numbers, metavar="24,32,48,64", help="Of each area.")
@click.option("--sizes", callback=_numbers, metavar="16,8,8,4", help="Rows of each area.")
@click.option("--self-transitions/--no-self-transitions", default=None,
              help="Lateral connections [yes].")
@click.option("--feedback/--no-feedback", default=None, help="Feedback connections [yes].")
@click.option("--bypass/--no-bypass", default=None, help="Connections that skip areas [if full].")
@click.option("--gain", type=float, help="Of the lateral identity shortcuts; below 1 a leak [1].")
@click.option("--readout-time", type=click.IntRange(min=1), help="Steps until the readout [10].")
@click.option("--input", "input_mode", type=click.Choice(["onset", "sustained"]),
              help="Drive at the first step only, or at every step [sustained].")
@click.option("--weights", type=click.Choice(["shared", "per-step"]),
              help="One weight for all steps, or one for each [shared].")
@click.option("--pre-net", type=click.Choice(["0", "1", "3"]),
              help="Convolutions between the image and the first area [1].")
@click.option("--pre-net-channels", type=click.IntRange(min=1),
              help="Between them [the first area's].")
@click.option("--graph", "graph_name", metavar="FILE",
              help="Area graph: a YAML file or a preset, in place of the options above.")
@click.option("--dataset", default="cifar10", help="cifar10, digits or digits-clean.")
@_data_root
@click.option("--recipe", type=click.Choice(["fast", "paper"]), default="fast",
              help="Good accuracy soon, or the settings of Liao & Poggio 2016.")
@click.option("--epochs", type=click.IntRange(min=1), help="[the recipe's: 24 or 60]")
@click.option("--batch-size", type=click.IntRange(min=2), help="[the recipe's: 128 or 64]")
@click.option("--readouts", type=click.IntRange(min=1),
              help="Consecutive readout times in the loss [the recipe's: 3 or 1].")
@click.option("--holdout", type=click.IntRange(min=0),
              help="Training images kept for validation [the data set's].")
@click.option("--seed", type=click.IntRange(min=0), default=0)
@_device
@click.option("--precision", type=click.Choice(["float32", "bf16"]),
              help="[the recipe's: bf16 where the processor has it, or float32]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder [runs/train-N].")
@click.option("--resume", "resumed", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Go on with a training that was stopped; takes no option but --data-root "
                   "and --device.")
@click.pass_context
def train(ctx: click.Context, /, resumed: Path | None, out: Path | None, data_root: Path | None,
          device: str | None, **options: Any) -> None:
    """Train a network; every option has a default."""
    if resumed is not None:
        given = [name for name in options
                 if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE]
        if given or out is not None:
            raise CortexSimError("--resume goes on with the settings it was started with: "
                                 f"leave out {', '.join(map(_flag, given)) or '--out'}")
    from . import training

    if resumed is not None:
        folder = training.resume(resumed, data_root=data_root, device=device)
    else:
        settings = training.Settings(device=device, **{
            key: options.pop(key) for key in ("dataset", "recipe", "epochs", "batch_size", "seed",
                                              "holdout", "readouts", "precision")})
        graph = _chosen_graph(settings.dataset, options)
        folder = training.train(graph, settings, out or _free("runs/train"), data_root=data_root,
                                command=_command())
    click.echo(_accuracies(folder))
    click.echo(f"network    {folder}")
    click.echo(f"run it     cortexsim run protocols/backward_mask.yaml --model {folder}")


@main.command()
@click.argument("checkpoint")
@click.option("--dataset", help="[the one it was trained on]")
@_data_root
@click.option("--times", callback=_numbers, metavar="2,4,8",
              help="Readout times [every one to the graph's].")
@click.option("--split", type=click.Choice(["test", "validation"]), default="test")
@_device
@click.option("--beyond", type=click.Choice(["error", "last"]), default="error",
              help="Past the calibrated time: stop, or use the last statistics.")
def evaluate(checkpoint: str, dataset: str | None, data_root: Path | None,
             times: tuple[int, ...] | None, split: str, device: str | None, beyond: str) -> None:
    """Print the accuracy of a CHECKPOINT (a path or a shipped name) at each readout time."""
    from . import devices, models, training
    from .stimuli import datasets

    loaded = models.load(checkpoint)
    loaded.network.beyond = beyond
    loaded.network.to(devices.device(device))
    name = dataset or loaded.card["data"]["dataset"]
    holdout = loaded.card.get("settings", {}).get("holdout")
    images = datasets.load(name, split, root=data_root,  # type: ignore[arg-type]
                           holdout=holdout if split == "validation" else None)
    accuracy = training.evaluate(loaded.network, images, times, progress=True)
    last = loaded.network.statistics_limit
    used = (f"calibrated to t = {last}" if max(accuracy) <= last
            else f"the last statistics, of t = {last}, from there on")
    click.echo(f"{loaded.name} on {name}, {len(images):,} {split} images; statistics {used}")
    click.echo("    t  accuracy")
    for t, value in accuracy.items():
        click.echo(f"{t:5d}  {100 * value:6.2f} %")


@main.command()
def models() -> None:
    """List the trained networks that come along."""
    from . import resources
    from .models import checkpoint

    for name, folder in resources.networks().items():
        card = checkpoint.read_card(folder)
        click.echo(f"{name:16s} {card['parameters']:9,d} parameters  {_accuracies(folder)}")


@main.command()
@click.argument("name", required=False)
@click.option("--list", "listed", is_flag=True, help="List the presets.")
@click.option("--out", type=click.Path(path_type=Path), help="Draw into this file (svg, png, pdf).")
@click.option("--readout-time", type=click.IntRange(min=1),
              help="Count parameters that reach this readout [the graph's].")
@click.option("--weights", type=click.Choice(["shared", "per-step"]),
              help="Count them so [the graph's].")
def graph(name: str | None, listed: bool, out: Path | None, readout_time: int | None,
          weights: str | None) -> None:
    """Show an area graph: a preset's NAME, a YAML file, or a checkpoint."""
    from . import presets

    if listed or name is None:
        for preset in presets.names():
            found = presets.get(preset)
            click.echo(f"{preset:24s} {' '.join(found.names)}, {len(found.connections)} "
                       f"connections, {found.input} input, readout at {found.readout_time}")
        return
    found = _find_graph(name)
    click.echo(str(found))
    if out is not None:
        found.draw(out)
        click.echo(f"picture    {out}")
    from dataclasses import replace

    from .models import Network, parameter_count
    counted = replace(found, readout_time=readout_time or found.readout_time,
                      weights=weights or found.weights)
    click.echo(f"parameters {parameter_count(Network(counted)):,d} ({counted.weights} weights, "
               f"readout at {counted.readout_time}, 10 classes)")


def _find_graph(name: str) -> AreaGraph:
    from . import presets, resources
    from .errors import unknown
    from .graph import AreaGraph

    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return AreaGraph.from_yaml(path)
    if name in presets.names():
        return presets.get(name)
    if path.exists() or name in resources.networks():
        from . import models
        return models.load(name).network.graph
    known = [*presets.names(), *resources.networks()]
    raise GraphError(f"{unknown('graph', name, known)}; or give a YAML file or a checkpoint")


def _chosen_graph(dataset: str, options: dict[str, Any]) -> AreaGraph:
    """Build the graph that the options of ``train`` describe."""
    from .errors import DatasetError, unknown
    from .graph import AreaGraph, PreNet

    name = options.pop("graph_name")
    layers, middle = options.pop("pre_net"), options.pop("pre_net_channels")
    given = {key: value for key, value in options.items() if value is not None}
    if name is not None:
        given |= {"pre_net": layers} if layers else {}
        given |= {"pre_net_channels": middle} if middle else {}
        if given:
            raise GraphError(f"--graph already says everything about the graph: leave out "
                             f"{', '.join(map(_flag, given))}, or change {name}")
        return _find_graph(name)
    # the shape of its images, without loading them
    shapes = {"cifar10": (3, 32, 32), "digits": (1, 32, 32), "digits-clean": (1, 32, 32)}
    if dataset not in shapes:
        raise DatasetError(unknown("data set", dataset, shapes))
    if "input_mode" in given:
        given["input"] = given.pop("input_mode")
    areas = given.pop("areas", ("V1", "V2", "V4", "IT"))
    return AreaGraph.chain(areas, image=shapes[dataset], **given,
                           pre_net=PreNet(1 if layers is None else int(layers), middle))


def _accuracies(folder: Path) -> str:
    """Say in a line what a checkpoint's card says of its accuracy."""
    from .models import checkpoint

    card = checkpoint.read_card(folder)
    time = str(card["graph"]["readout_time"])
    parts = [f"{dataset} {100 * values[time]:.1f} %"
             for dataset, values in card.get("test_accuracy", {}).items() if time in values]
    return f"test accuracy at t = {time}: {', '.join(parts) or 'not measured'}"


def _free(stem: str) -> Path:
    number = 1
    while Path(f"{stem}-{number}").exists():
        number += 1
    return Path(f"{stem}-{number}")


def _flag(name: str) -> str:
    return "--" + {"graph_name": "graph", "input_mode": "input"}.get(name, name).replace("_", "-")


def _command() -> str:
    return shlex.join(["cortexsim", *sys.argv[1:]])


if __name__ == "__main__":
    main()
