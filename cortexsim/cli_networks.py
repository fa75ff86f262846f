"""Commands about networks: evaluate, calibrate, fold, models."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import click

from . import files, options, terminal
from .terminal import Whole


@click.command(short_help="Measure a network's accuracy at each readout time.")
@click.argument("checkpoint")
@click.option("--dataset", callback=terminal.filled,
              help="digits (in clutter), digits-clean or cifar10 [what it was trained on].")
@options.data_root
@click.option("--times", callback=terminal.numbers, metavar="2,4,8",
              help="Readout times in steps [each one up to that it was trained for].")
@click.option("--split", type=click.Choice(["test", "validation"]), default="test",
              help="Test images, or training images that were held out.")
@options.device
@options.beyond
def evaluate(checkpoint: str, dataset: str | None, data_root: Path | None,
             times: tuple[int, ...] | None, split: str, device: str | None, beyond: str) -> None:
    """Print the accuracy of a network at each readout time.

    CHECKPOINT is a name that 'cortexsim models' lists, or a checkpoint's folder.
    """
    from . import devices, models, training
    from .images import load_images

    on = devices.device(device)
    loaded = models.load(checkpoint)
    loaded.network.beyond = beyond
    loaded.network.to(on)
    settings = training.Settings.from_card(loaded.card)
    holdout, task = settings.holdout, settings.sequence
    images = load_images(loaded, dataset, split, data_root=data_root,
                         holdout=holdout if split == "validation" else None)
    accuracy = training.evaluate(loaded.network, images, times, task=task, progress=True)
    terminal.say(f"{loaded.name} on {images.name}, {len(images):,} {split} images")
    terminal.say(f"statistics: {models.statistics_used(loaded.network, max(accuracy))}")
    terminal.say("    t  accuracy" + ("  asked" if task else ""))
    for t, value in accuracy.items():
        asked = f"  {task.describe(t)}" if task else ""
        terminal.say(f"{t:5d}  {100 * value:6.2f} %{asked}")


@click.command(short_help="Compute a network's statistics anew, for more steps.")
@click.argument("checkpoint")
@click.option("--steps", type=Whole(min=0), required=True,
              help="The last step to calibrate.")
@click.option("--images", type=Whole(min=1),
              help="Training images to compute them from [5000, or all if there are fewer].")
@click.option("--seed", type=Whole(min=0),
              help="Of the choice of images [that of the training].")
@click.option("--dataset", callback=terminal.filled,
              help="digits (in clutter), digits-clean or cifar10 [what it was trained on].")
@options.data_root
@options.device
@click.option("--out", type=options.FOLDER,
              help="A new folder for a calibrated copy [the checkpoint's own; one that comes "
                   "along needs this].")
def calibrate(checkpoint: str, steps: int, images: int | None, seed: int | None,
              dataset: str | None, data_root: Path | None, device: str | None,
              out: Path | None) -> None:
    """Compute the statistics of normalization anew, so that a network runs for longer.

    CHECKPOINT is a checkpoint's folder, or a name that 'cortexsim models' lists.
    Weights stay as they are. Step by step, with all before frozen, two sweeps over
    training images measure first the areas, then what lies within transitions. The
    test images are then named anew, for the accuracies that the checkpoint states.
    """
    from . import devices, models, training
    from .images import load_images

    on = devices.device(device)
    loaded = models.load(checkpoint)
    files.check_free(out)
    training.check_steps(loaded, steps, out)
    loaded.network.to(on)
    settings = training.Settings.from_card(loaded.card)
    found = load_images(loaded, dataset, "train", data_root=data_root, holdout=settings.holdout)
    if found.name == settings.dataset:
        found = found.take(slice(settings.images))
    with nullcontext(out) if out is None else files.new_folder(out, "") as place:
        folder = training.recalibrate(loaded, found, steps, count=images, seed=seed, out=place,
                                      data_root=data_root)
    terminal.say(f"statistics: {models.statistics_used(loaded.network, steps)}")
    terminal.say(accuracies(folder))
    terminal.say(f"network    {folder}")


@click.command(short_help="Turn a ResNet into an area graph that runs in time.")
@click.argument("resnet")
@click.option("--weights", type=options.FOLDER,
              help="File of its weights: PyTorch's state_dict, or safetensors [random ones].")
@click.option("--dataset", callback=terminal.filled,
              help="The images it names: digits, digits-clean or cifar10 [ImageNet's, if it has "
                   "1000 classes].")
@click.option("--seed", type=Whole(min=0), default=0, help="Of random weights.")
@click.option("--out", type=options.FOLDER, help="A new folder for the checkpoint [runs/RESNET-N].")
def fold(resnet: str, weights: Path | None, dataset: str | None, seed: int,
         out: Path | None) -> None:
    """Turn a RESNET into an area graph: its stages become areas, its blocks steps.

    RESNET is resnet18, resnet34 or resnet50 of torchvision, or preact-resnet20, 32, 44,
    56 or 110 of He et al. 2016. What comes of it runs like any network: cortexsim run
    PROTOCOL --model FOLDER.
    """
    from . import conversion

    with files.new_folder(out, f"runs/{resnet}") as folder:
        made = conversion.convert(resnet, folder, weights=weights, dataset=dataset, seed=seed,
                                  command=terminal.command())
    terminal.say(str(made.network.graph))
    terminal.say(f"network    {made.folder}")


@click.command()
def models() -> None:
    """List the trained networks that come along."""
    from . import resources
    from .models import checkpoint

    for name, folder in resources.networks().items():
        card = checkpoint.read_card(folder)
        terminal.say(f"{name:16s} {card['parameters']:9,d} parameters  {accuracies(folder)}")


def accuracies(folder: Path) -> str:
    """Say in a line what a checkpoint's card says of its accuracy."""
    from .models import checkpoint

    card = checkpoint.read_card(folder)
    time = str(card["graph"]["readout_time"])
    parts = [f"{dataset} {100 * values[time]:.1f} %"
             for dataset, values in card.get("test_accuracy", {}).items() if time in values]
    return f"test accuracy at t = {time}: {', '.join(parts) or 'not measured'}"
