"""Area graphs as the command line names them: by a name, a file, or options."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from . import models, presets, resources, terminal
from .errors import DatasetError, GraphError, SimulationError, unknown
from .graph import AreaGraph, Normalization, PreNet
from .models import checkpoint
from .models.derive import unshared
from .stimuli import datasets
from .stimuli.sequences import SequenceTask
from .training import Settings

#: Of a graph without a network: digits and CIFAR-10 both have ten.
CLASSES = 10
#: Of a sequence, unless said otherwise.
IMAGES, STEPS_PER_IMAGE = 4, 3


def find_graph(name: str) -> tuple[AreaGraph, int]:
    """Find a graph by a preset's name, a YAML file, or a network's name or folder.

    Returns
    -------
    tuple
        The graph, and the number of classes of its network.

    Raises
    ------
    CortexSimError
        If there is none, or it cannot be read.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return AreaGraph.from_yaml(path), CLASSES
    if name in presets.names():
        return presets.get(name), CLASSES
    if path.exists() or name in resources.networks():
        network = models.load(name).network
        return network.graph, network.classes
    known = [*presets.names(), *resources.networks()]
    raise GraphError(f"{unknown('graph', name, known)}; or give a YAML file or a checkpoint")


def usual_dataset(init: str | None) -> str:
    """Return what to train on if nothing is said: what the network before was trained on."""
    if init is None:
        return Settings.dataset
    own = checkpoint.read_card(checkpoint.find(init))["data"].get("dataset")
    if not isinstance(own, str):
        raise DatasetError(f"{init} does not say which images it was trained on: give a data set "
                           "with --dataset")
    return own


def describe_graph(dataset: str, options: dict[str, Any], init: str | None = None) -> AreaGraph:
    """Build the graph that the options of ``cortexsim train`` describe.

    Parameters
    ----------
    dataset
        The training images, whose shape the graph takes.
    options
        Values of the options, None where one was not given.
    init
        The trained network whose graph to take; some options can change it.

    Raises
    ------
    CortexSimError
        If options contradict each other, or no graph can be built of them.
    """
    if dataset not in datasets.REGISTRY:
        raise DatasetError(unknown("data set", dataset, datasets.REGISTRY))
    given = {key: value for key, value in options.items() if value is not None}
    if init is not None:
        return _changed(models.load(init).network.graph, given)
    name = given.pop("graph_name", None)
    if name is not None:
        if given:
            raise GraphError(f"--graph already says everything about the graph: leave out "
                             f"{', '.join(map(terminal.flag, given))}, or change {name}")
        return find_graph(name)[0]
    layers, middle = given.pop("pre_net", 1), given.pop("pre_net_channels", None)
    if "input_mode" in given:
        given["input"] = given.pop("input_mode")
    areas = given.pop("areas", ("V1", "V2", "V4", "IT"))
    rules = {key: given.pop(key) for key in ("statistics", "scale_shift") if key in given}
    return AreaGraph.chain(areas, image=datasets.REGISTRY[dataset].shape, **given,
                           pre_net=PreNet(int(layers), middle),
                           normalization=Normalization(**rules))


def _changed(graph: AreaGraph, given: dict[str, Any]) -> AreaGraph:
    """Change what can be changed of a trained network's graph."""
    allowed = ("readout_time", "input_mode", "weights", "statistics", "scale_shift")
    wrong = [key for key in given if key not in allowed]
    if wrong:
        raise GraphError(f"--init takes the graph of its network: leave out "
                         f"{', '.join(map(terminal.flag, wrong))}; only "
                         f"{', '.join(map(terminal.flag, allowed))} can change it")
    rules = {key: given[key] for key in ("statistics", "scale_shift") if key in given}
    if given.get("weights") == "per-step":
        graph = unshared(graph)
    return replace(graph, weights=given.get("weights", graph.weights),
                   input=given.get("input_mode", graph.input),
                   readout_time=given.get("readout_time", graph.readout_time),
                   normalization=replace(graph.normalization, **rules))


def describe_sequence(options: dict[str, Any]) -> SequenceTask | None:
    """Take the options of a sequence out of those of ``cortexsim train``.

    Parameters
    ----------
    options
        Values of the options, None where one was not given.

    Returns
    -------
    SequenceTask or None
        What ``--sequence`` and the options beside it say; None without it.

    Raises
    ------
    CortexSimError
        If options contradict each other, or there is no such sequence.
    """
    names = {"images_per_sequence": "images", "steps_per_image": "steps", "answers": "answers",
             "answer_delay": "delay"}
    given = {key: options.pop(key) for key in names}
    given = {key: value for key, value in given.items() if value is not None}
    ask = options.pop("sequence")
    if ask is None:
        if given:
            raise SimulationError(f"{', '.join(map(terminal.flag, given))}: for sequences only; "
                                  "say what is to be named with --sequence")
        return None
    if options.get("readout_time") is not None:
        raise SimulationError("a sequence is read at its images: leave out --readout-time")
    parts = {"images": IMAGES, "steps": STEPS_PER_IMAGE}
    return SequenceTask(ask=ask, **parts | {names[key]: value for key, value in given.items()})
