"""The networks and protocols that come along are what their cards and the README say."""

from __future__ import annotations

import json
import math

import pytest

from cortexsim import resources
from cortexsim.models import load
from cortexsim.ready import prepare
from cortexsim.stimuli import datasets
from cortexsim.stimuli.sequences import SequenceTask
from cortexsim.training import Settings, evaluate

NETWORKS = resources.networks()
SEQUENCE = "digits-sequence"
ON_IMAGES = [name for name in NETWORKS if name != SEQUENCE]
DIGITS = [name for name in ON_IMAGES if name.startswith("digits")]


def test_both_kinds_come_along_for_both_data_sets_one_for_sequences_and_one_for_brief_images():
    assert set(NETWORKS) == {f"{data}-{kind}" for data in ("digits", "cifar10")
                             for kind in ("leaky", "gain1")} | {SEQUENCE, "cifar10-brief"}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_card_says_how_its_network_came_to_be(name):
    loaded = load(name)
    card, graph = loaded.card, loaded.network.graph
    assert card["name"] == name and f"--out {name}" in card["command"]
    assert {"hardware", "seed", "versions", "history", "dynamics"} <= (
        card.keys() | card["settings"].keys())
    assert (loaded.folder / "weights.safetensors").stat().st_size < 3_000_000
    laterals = {c.gain for c in graph.connections if c.shortcut == "identity"}
    assert laterals == {1.0 if name.endswith("gain1") else 0.5}
    assert card["calibration"]["steps"] == loaded.network.statistics_limit == 64
    if name == SEQUENCE:
        return
    for accuracy in card["test_accuracy"].values():
        assert list(accuracy) == [str(t) for t in graph.readout_times(64)]
        assert accuracy["10"] > accuracy["3"]  # it rises with readout time


@pytest.mark.parametrize("name", DIGITS)
@pytest.mark.parametrize("dataset", ["digits", "digits-clean"])
def test_digits_networks_score_what_their_cards_say(name, dataset):
    loaded = load(name)
    times = [3, 10, 20] if dataset == "digits" else [3, 10]
    found = evaluate(loaded.network, datasets.load(dataset, "test"), times)
    for t in times:
        # another processor may round one image to the other side
        assert math.isclose(found[t], loaded.card["test_accuracy"][dataset][str(t)],
                            abs_tol=1.1 / 360)
    if dataset == "digits-clean":
        assert found[10] >= 0.97


@pytest.mark.parametrize("dataset", ["digits", "digits-clean"])
def test_the_sequence_network_names_the_digit_before_at_each_place(dataset):
    loaded = load(SEQUENCE)
    task = Settings.from_card(loaded.card).sequence
    assert (task.ask, task.images) == ("previous", 4)
    found = evaluate(loaded.network, datasets.load(dataset, "test"), task=task)
    assert list(found) == [5, 8, 11]  # the last indices of the second to fourth digit
    for t, value in found.items():
        assert value >= 0.9
        assert math.isclose(value, loaded.card["test_accuracy"][dataset][str(t)],
                            abs_tol=1.1 / 360)
    # it is the digit before, not the one that is on
    current = SequenceTask(task.images, task.steps, "last")
    assert max(evaluate(loaded.network, datasets.load(dataset, "test"), [5, 8, 11],
                        task=current).values()) < 0.2


def test_the_best_cifar_network_reaches_85_percent_at_its_last_readout():
    cards = [json.loads((NETWORKS[name] / "network.json").read_text())
             for name in NETWORKS if name.startswith("cifar10")]
    last = [card["test_accuracy"]["cifar10"][str(card["graph"]["readout_time"])]
            for card in cards if card["graph"]["readout_time"] >= 10]
    assert max(last) >= 0.85


#: Whose pictures do not come along (tests/stimuli/test_objects92.py).
NO_PICTURES = {"objects92"}


@pytest.mark.parametrize("name", sorted({*resources.protocols()} - NO_PICTURES))
def test_every_protocol_is_ready_to_run_as_it_stands(name):
    experiment = prepare(name)
    assert experiment.protocol.name == name
    assert experiment.images.name == experiment.protocol.dataset
    assert experiment.images.name in ("digits", "digits-clean")
