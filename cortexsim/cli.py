"""The command line: each command parses, makes one library call, and prints where the result is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from . import (
    __version__,
    cli_analysis,
    cli_doctor,
    cli_networks,
    cli_protocol,
    files,
    job,
    options,
    schema,
    terminal,
)
from .errors import GraphError, Interrupted, RecordingError
from .processes import Lost, Processes
from .terminal import Whole

# Nothing heavy is imported before a command needs it: --help answers at once.

@click.group(cls=terminal.Program, context_settings={"help_option_names": ["-h", "--help"],
                                                     "show_default": True},
             epilog="A first experiment: cortexsim run backward_mask")
@click.version_option(__version__, prog_name="cortexsim")
def main() -> None:
    """Run trained recurrent vision networks as cortex-like dynamical systems."""


@main.command(short_help="Run an experiment and record it.")
@click.argument("protocol", required=False)
@click.option("--model", callback=terminal.filled,
              help="The network: a name that 'cortexsim models' lists, or a checkpoint's folder "
                   "[the protocol's].")
@click.option("--dataset", callback=terminal.filled,
              help="The images: digits (in clutter), digits-clean or cifar10 [the protocol's; "
                   "with --model, what that network was trained on].")
@options.data_root
@click.option("--trials", type=Whole(min=1),
              help="The most trials to run, in whole stimuli (each is shown once in every "
                   "condition) [the protocol's, or all].")
@click.option("--record", callback=terminal.words, metavar="V1,IT",
              help="Areas to record, or all [the protocol's].")
@click.option("--reduce", callback=terminal.filled, metavar="none|mean|units:N|summary",
              help="What to keep of an area: whole maps, the mean of each channel over space, "
                   "N units drawn from the seed, or numbers that describe it as a whole "
                   "[the protocol's].")
@click.option("--dtype", type=click.Choice(["float32", "float16"]),
              help="Numbers to keep activity in [the protocol's].")
@options.device
@click.option("--batch", callback=terminal.auto, default="auto", metavar="auto|N",
              help="Stimuli that go through the network together; auto is what memory allows.")
@click.option("--precision", type=click.Choice(["float32", "bf16"]), default="float32",
              help="Numbers to compute with.")
@click.option("--check-precision", is_flag=True,
              help="Run one batch in float32, too, and say what the precision changes.")
@click.option("--seed", type=Whole(min=0), default=0,
              help="Of masks, clutter, and the choice of stimuli and units.")
@options.beyond
@options.workers
@click.option("--out", type=options.PLACE,
              help="A new folder for the results, or a place in an object store (s3://...) "
                   "[runs/PROTOCOL-N, the first N that is free].")
@click.option("--no-figure", is_flag=True, help="Record and print tables only.")
@click.option("--dry-run", is_flag=True,
              help="Print the timeline and what the run would take, and run nothing.")
@click.option("--resume", "resumed", type=options.PLACE, metavar="FOLDER",
              help="In place of a PROTOCOL: go on with a run that was stopped, or damaged, as it "
                   "was begun; only --data-root, --device, --workers, --scheduler and --no-figure "
                   "may be given too.")
@click.option("--verify", "verified", type=options.PLACE, metavar="FOLDER",
              help="In place of a PROTOCOL: compute parts of a finished run once more and compare "
                   "them with its recording; only --chunks, --seed, --data-root and --device may "
                   "be given too.")
@click.option("--chunks", type=Whole(min=1),
              help="With --verify: how many of the recording's chunks, drawn with --seed [3].")
@click.pass_context
def run(ctx: click.Context, /, protocol: str | None, record: tuple[str, ...] | None,
        out: Path | None, no_figure: bool, check_precision: bool, dry_run: bool,
        resumed: Path | None, verified: Path | None, chunks: int | None, workers: int | None,
        scheduler: str | None, **options: Any) -> None:
    """Run a PROTOCOL: show pictures, record every area, and draw what came of it.

    PROTOCOL is a YAML file, or a name that 'cortexsim protocol list' lists. What is in
    brackets below holds unless you say otherwise.
    """
    from . import experiment, ready

    if verified is not None:
        terminal.leave_out(ctx, "finished run", ("chunks", "seed", "data_root", "device"),
                           "verified", "--verify looks at")
        found = experiment.verify(verified, seed=options["seed"], chunks=chunks or 3,
                                  data_root=options["data_root"], device=options["device"])
        terminal.say(str(found))
        if problem := found.problem():
            raise RecordingError(problem)
        return
    if resumed is not None:
        terminal.leave_out(ctx, "run that was stopped", ("data_root", "device", "workers",
                                                         "scheduler", "no_figure"))
        result = experiment.resume(
            resumed, data_root=options["data_root"], device=options["device"],
            figure=not no_figure, command=terminal.command(), workers=workers,
            scheduler=scheduler)
    elif protocol is None:
        raise click.UsageError("Missing argument 'PROTOCOL'", ctx)
    elif chunks is not None:
        raise click.UsageError("--chunks is for --verify; a run has chunks of --batch stimuli", ctx)
    elif dry_run and (workers or scheduler):
        raise click.UsageError("--dry-run tries a batch in this process: leave out "
                               f"{'--workers' if workers else '--scheduler'}", ctx)
    else:
        options["areas"] = record
        if dry_run:
            files.check_free(out)
            prepared = ready.prepare(protocol, **options)
            took = prepared.estimate()
            compared = [prepared.check_precision()] if check_precision else []
            for part in (prepared.protocol.describe(), took, *compared):
                terminal.say(str(part))
            return
        result = experiment.run(protocol, out=out, figure=not no_figure, compare=check_precision,
                                command=terminal.command(), workers=workers,
                                scheduler=scheduler, **options)
    if result.comparison is not None:
        terminal.say(f"{result.comparison}\n")
    terminal.say(str(result.tables))
    terminal.say(f"recording  {result.folder / schema.RECORDING}")
    if result.figure:
        terminal.say(f"figure     {result.figure}")


@main.command(short_help="Train a network.")
@options.area_graph
@click.option("--init", callback=terminal.filled, metavar="NETWORK",
              help="Start from the weights of a trained network, a name that 'cortexsim models' "
                   "lists or a checkpoint's folder, and from its graph, of which only "
                   "--readout-time, --input, --weights, --statistics and --scale-shift can be "
                   "changed. Shared weights become equal copies with --weights per-step "
                   "[random weights].")
@click.option("--dataset", callback=terminal.filled,
              help="Training images: cifar10, digits (in clutter) or digits-clean [cifar10; "
                   "with --init, what that network was trained on].")
@options.data_root
@click.option("--recipe", type=click.Choice(["fast", "paper"]), default="fast",
              help="Good accuracy soon, or the settings of Liao & Poggio 2016.")
@click.option("--epochs", type=Whole(min=1),
              help="Passes through the training images [24 if fast, 60 if paper].")
@click.option("--batch-size", type=Whole(min=2),
              help="Images between two changes of weights [128 if fast, 64 if paper].")
@click.option("--readouts", type=Whole(min=1),
              help="Readout times in the loss, the last ones in a row [3 if fast, 1 if paper; "
                   "1 of each image of a sequence].")
@click.option("--holdout", type=Whole(min=0),
              help="Training images kept for validation [137 digits, 2500 of CIFAR-10].")
@click.option("--images", type=Whole(min=1),
              help="Train on so many images only, the first ones [all that are not held out].")
@click.option("--learning-rate", type=float,
              help="The highest rate; the recipe's course is scaled to it [its own].")
@click.option("--brief", type=float, default=0.0, metavar="SHARE",
              help="The share of training images that go off at a random step before the "
                   "readout, 0 to 1: for networks that are to know pictures that are brief [0].")
@options.sequence
@click.option("--seed", type=Whole(min=0), default=0,
              help="Of weights, order, augmentation and clutter.")
@options.device
@click.option("--precision", type=click.Choice(["float32", "bf16"]),
              help="Numbers to compute with [float32; if fast, bf16 where the processor has it].")
@click.option("--compile/--no-compile", default=False,
              help="Compile the network: slow to begin, faster on a GPU.")
@click.option("--out", type=options.FOLDER,
              help="A new folder for the network [runs/train-N, the first N that is free].")
@click.option("--resume", "resumed", type=options.FOLDER, metavar="FOLDER",
              help="Go on with a training that was stopped, with the settings it was started "
                   "with; only --data-root and --device may be given too.")
@click.pass_context
def train(ctx: click.Context, /, resumed: Path | None, out: Path | None, data_root: Path | None,
          device: str | None, **options: Any) -> None:
    """Train a network on labelled images, and calibrate it for simulation.

    Every option has a default, in brackets. A checkpoint is written after each
    epoch; Ctrl-C saves, too, and --resume goes on as if there had been no stop.

    On several GPUs, or processors: torchrun --nproc-per-node N -m cortexsim train ...
    Each of N processes has a part of every batch; the result is the same up to rounding.
    """
    if resumed is not None:
        terminal.leave_out(ctx, "training that was stopped", ("data_root", "device"))
    with job.running() as mine:
        folder = _train(mine, resumed, out, data_root, device, options)
        if mine.first:
            _trained(folder)


def _train(mine: Processes, resumed: Path | None, out: Path | None,
           data_root: Path | None, device: str | None, options: dict[str, Any]) -> Path:
    """Train, or go on with it, as one of a job's processes; return the folder."""
    from . import choices, training

    more: dict[str, Any] = {"data_root": data_root, "processes": mine}
    if resumed is not None:
        with _resumable(resumed, mine):
            return training.resume(resumed, device=device, **more)
    task = choices.describe_sequence(options)
    chosen = {field.name: options.pop(field.name) for field in fields(training.Settings)
              if field.name in options}
    dataset = chosen.pop("dataset") or choices.usual_dataset(chosen["init"])
    settings = training.Settings(dataset=dataset, device=device, sequence=task, **chosen)
    graph = choices.describe_graph(dataset, options, settings.init)
    # a folder with a name is made, or refused, by the training, which claims it
    make = out is None and mine.first
    with (files.taken(None, "runs/train", claim=False) if make else nullcontext(out)) as made:
        folder = out or Path(mine.said(str(made)))
        with _resumable(folder, mine):
            return training.train(graph, settings, folder, command=terminal.command(mine.program),
                                  **more)


def _trained(folder: Path) -> None:
    """Say what came of a training, and what can be done with it."""
    from . import training
    from .models import checkpoint

    terminal.say(cli_networks.accuracies(folder))
    terminal.say(f"network    {folder}")
    found = checkpoint.load(folder)
    trained = training.Settings.from_card(found.card)
    if found.network.weights_limit < math.inf:
        terminal.say(f"it ends    at step {found.network.steps}, since it has parameters of its "
                     "own for each step; run first_steps, or a protocol of at most as many")
        return
    protocol = "digit_sequence" if trained.sequence else "backward_mask"
    terminal.say(f"run it     cortexsim run {protocol} --model {folder}")


@main.command(short_help="Show an area graph as a table and a picture.")
@click.argument("name", required=False)
@click.option("--list", "listed", is_flag=True, help="List the graphs that come along.")
@click.option("--out", type=options.FOLDER, help="Draw it into this file: .svg, .png or .pdf.")
@click.option("--readout-time", type=Whole(min=1),
              help="Count the parameters that matter at this readout time, in steps [its own].")
@click.option("--weights", type=click.Choice(["shared", "per-step"]),
              help="Count parameters as if weights were so [its own].")
def graph(name: str | None, listed: bool, out: Path | None, readout_time: int | None,
          weights: str | None) -> None:
    """Show an area graph as a table, from areas (rows) to areas (columns).

    NAME is one of 'cortexsim graph --list', a YAML file, a network of 'cortexsim
    models', or a checkpoint's folder. Without a NAME the graphs that come along are listed.
    """
    from . import choices, presets

    if listed or name is None:
        if name or out or readout_time or weights:
            raise GraphError("--list takes neither a NAME nor another option" if listed
                             else "which graph? give its NAME; cortexsim graph --list has some")
        for preset in presets.names():
            found = presets.get(preset)
            count = len(found.connections)
            terminal.say(f"{preset:24s} {' '.join(found.names)}, {count} "
                       f"connection{'s' * (count > 1)}, {found.input} input, readout at "
                       f"{found.readout_time}")
        return
    from dataclasses import replace

    from .models import Network, parameter_count

    found, classes = choices.find_graph(name)
    counted = replace(found, readout_time=readout_time or found.readout_time,
                      weights=weights or found.weights)
    count = parameter_count(Network(counted, classes=classes))
    if out is not None:
        found.draw(out, terminal.command())
    terminal.say(str(found))
    terminal.say(f"parameters {count:,d} ({counted.weights} weights, readout at "
               f"{counted.readout_time}, {classes} classes)")
    if out is not None:
        terminal.say(f"picture    {out}")


for command in (cli_networks.evaluate, cli_networks.calibrate, cli_networks.fold,
                cli_networks.models, cli_protocol.protocol, cli_analysis.compare,
                cli_analysis.report, cli_analysis.export, cli_doctor.doctor):
    main.add_command(command)


@contextmanager
def _resumable(folder: Path, mine: Processes) -> Iterator[None]:
    """Say how to go on if Ctrl-C comes outside of the epochs, or another process is gone."""
    from .models.checkpoint import CARD

    def more() -> str:
        there = (folder / CARD).exists()
        return f". Go on with: {mine.program} train --resume {folder}" if there else ""

    try:
        with job.not_forever(mine, lambda: f"another process does not answer{more()}"):
            yield
    except KeyboardInterrupt:
        raise Interrupted(f"stopped{more()}") from None
    except Lost as problem:
        raise Lost(f"{problem}{more()}") from None
