"""Axes found from trials: what goes together, what is plain, what is told of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortexsim import analysis
from cortexsim.analysis import design, labels, protocols
from cortexsim.analysis import recording as rec
from cortexsim.analysis.settings import settings


def named(tree) -> dict[str, list]:
    return {axis.name: axis.values for axis in design.axes(tree)}


def test_factors_that_are_crossed_are_axes_of_their_own(designs) -> None:
    assert named(designs["tang"]) == {
        "hidden": [0, 0.8], "soa_ms": [25, 150], "mask": ["grey", "phase_scrambled"]}
    found = settings(designs["tang"])
    assert [axis.name for axis in found.axes] == ["hidden", "soa_ms", "mask"]
    assert found.by and found.split and (found.by.name, found.split.name) == ("soa_ms", "mask")


def test_factors_that_go_together_are_one_axis(designs) -> None:
    assert named(designs["kumbhar"]) == {"noise_sd & blur_sd": [
        "no noise, no blur", "noise SD 0.04", "noise SD 0.16", "blur SD 1", "blur SD 3"]}
    assert named(designs["hupe"]) == {
        "contrast": [0.25, 1],
        "lesion & from_ms": ["no lesion", "feedback lesion", "feedback lesion from 75 ms"]}
    # the rate determines the others, and stands for them
    assert named(designs["keysers"]) == {"each_ms": [12.5, 50, 100]}
    assert settings(designs["kumbhar"]).factors == ["noise_sd", "blur_sd"]


def test_the_first_that_determines_the_others_stands_for_them_unless_one_is_named(make) -> None:
    text = ("name: pair\nms_per_step: 12.5\nduration_ms: 375\n"
            "factors: {at_ms: [150, 100, 0], isi_ms: [50, 100, 200]}\n"
            "parallel: [[at_ms, isi_ms]]\n"
            "timeline: [{show: grey, at_ms: $at_ms, for_ms: 25}, "
            "{show: target, after_ms: $isi_ms, for_ms: 25}]\n")
    assert list(named(make(text, stimuli=1))) == ["at_ms"]
    by = f"{text}summary: {{readout_ms: 250, by: isi_ms}}\n"
    assert list(named(make(by, stimuli=1))) == ["isi_ms"]


def test_what_is_not_whole_in_threes_is_one_axis(make) -> None:
    # a Latin square: every pair of levels is there, and not every three
    text = ("name: square\nms_per_step: 12.5\nduration_ms: 375\n"
            "factors: {soa_ms: [25, 25, 50, 50], noise: [0, 1, 0, 1], blur: [0, 1, 1, 0]}\n"
            "parallel: [[soa_ms, noise, blur]]\n"
            "timeline: [{show: target, at_ms: 0, for_ms: $soa_ms, "
            "change: {blur: $blur, gaussian_noise: $noise}}]\n")
    axis, = design.axes(make(text, stimuli=1))
    assert len(axis.levels) == 4
    assert axis.values[1:3] == ["SOA 25 ms, noise 1, blur 1", "SOA 50 ms, blur 1"]
    # of the four combinations two have two of their factors at the plainest: the first of them
    assert axis.plain == 0


@pytest.mark.parametrize(("name", "plain", "compared"), [
    ("tang", "hidden=0, soa_ms=150, mask=grey", {"mask": "phase_scrambled"}),
    ("kumbhar", "noise_sd=0, blur_sd=0", {"noise_sd": 0, "blur_sd": 3}),
    ("hupe", "contrast=1, lesion=none, from_ms=0", {"lesion": "feedback", "from_ms": 75}),
    ("keysers", "each_ms=100, images=3, position=1", {"each_ms": 12.5}),
    ("lamme", "figure=target, soa_ms=100, mask=none", {"mask": "pattern"}),
    ("contrast", "contrast=1, repeat=1", {"contrast": 0.05}),
    ("many", "soa_ms=100, mask=none, noise=0, contrast=1", {"mask": "phase_scrambled"}),
])
def test_the_plainest_condition_is_the_undisturbed_one(designs, name, plain, compared) -> None:
    table = rec.trials(designs[name])
    assert table.condition[rec.select(designs[name])[0]] == plain
    found = settings(designs[name])
    axis = found.split or found.by
    assert axis and axis.condition(axis.contrast) == compared


def test_blanks_have_no_levels_and_catch_trials_no_accuracy(designs) -> None:
    contrast, lamme = designs["contrast"], designs["lamme"]
    assert rec.levels(rec.trials(contrast)["contrast"]) == [0.05, 0.4, 1]
    assert (~design.asked(contrast)).sum() == 10
    assert analysis.accuracy(contrast, by=["contrast"]).n.tolist() == [20, 20, 20]
    assert set(analysis.accuracy(lamme)["figure"]) == {"target"}
    assert set(analysis.accuracy_over_time(lamme, by="condition").condition) == {
        f"figure=target, soa_ms={soa}, mask={mask}" for soa in (25, 100)
        for mask in ("none", "pattern")}
    assert set(analysis.timelines(contrast, ["V1"], by=["contrast"]).contrast) == {0.05, 0.4, 1}
    assert "blank" in set(analysis.timelines(contrast, ["V1"], by=["condition"]).condition)


def test_a_blank_is_no_unmasked_condition(make) -> None:
    text = ("name: worded\nms_per_step: 12.5\nduration_ms: 375\nblank: true\n"
            "factors: {mask: [none, pattern]}\ntimeline:\n"
            "  - {show: target, at_ms: 0, for_ms: 50}\n"
            "  - {show: $mask, after_ms: 0, until: end}\n")
    tree = make(text, stimuli=3)
    assert set(tree["mask"].values[tree["condition"].values == "blank"]) == {"none"}
    assert len(rec.select(tree, {"mask": "none"})) == len(rec.select(tree)) == 3


def test_a_protocol_of_catch_trials_only_has_timelines_and_no_accuracy(make) -> None:
    recording = make(
        "name: grounds\nms_per_step: 12.5\nduration_ms: 375\nblank: true\n"
        "factors: {ground: [grey, pattern], soa_ms: [25, 50]}\n"
        "timeline: [{show: $ground, at_ms: 0, for_ms: $soa_ms}]", 4)
    plain = design.plainest(recording)
    assert plain == {"ground": "grey", "soa_ms": 50}
    assert len(rec.select(recording)) == 4
    assert design.baseline(recording, plain) == "blank"
    tables = analysis.tables(recording)
    assert tables.accuracy.empty and len(tables.responses) == 4
    assert "no condition shows the target" in str(tables)
    assert len(analysis.figure(recording).axes) == 2


def test_each_condition_finds_the_one_without_a_picture(designs) -> None:
    plain = {"figure": "target", "soa_ms": 25.0, "mask": "pattern"}
    assert design.baseline(designs["lamme"], plain) == "figure=grey, soa_ms=25, mask=pattern"
    assert design.baseline(designs["contrast"], {"contrast": 0.4}) == "blank"
    assert design.baseline(designs["tang"], design.plainest(designs["tang"])) is None


def test_interventions_are_told_with_their_windows(make, designs) -> None:
    late = {"lesion": "feedback", "from_ms": 75}
    assert protocols.interventions(designs["hupe"], late).to_numpy().tolist() == [
        ["feedback off", 75, 200]]
    assert protocols.interventions(designs["hupe"], {"lesion": "none"}).empty
    text = ("name: done\nms_per_step: 12.5\nduration_ms: 375\n"
            "factors: {gain: [1, 2]}\n"
            "timeline: [{show: target, at_ms: 0, until: end}]\ninterventions:\n"
            "  - {scale: V4, by: $gain}\n  - {noise: V1, sd: 0.2}\n"
            "  - {clamp: V2, to: hold, from_ms: 100}\n  - {delay: feedback, takes_ms: 25}\n"
            "  - {clamp: IT, to: 0, from_ms: 200}\n")
    tree = make(text, stimuli=1)
    assert protocols.interventions(tree, {"gain": 2}).to_numpy().tolist() == [
        ["V4 × 2, noise in V1 (SD 0.2), feedback takes 2 steps", 0, 375],
        ["V2 held", 100, 375], ["IT held at 0", 200, 375]]
    # a gain of 1 does nothing, and is the plainest
    assert not protocols.interventions(tree, {"gain": 1}).done.str.contains("×").any()
    assert design.plainest(tree) == {"gain": 1}


@given(st.lists(st.tuples(st.sampled_from(["none", "grey", "a", "b"]), st.sampled_from([0, 1, 2]),
                          st.sampled_from([0, 75])), min_size=1, unique=True))
def test_levels_that_go_together_have_names_of_their_own(levels) -> None:
    names = list(labels.combined_labels(("mask", "blur_sd", "from_ms"), levels))
    assert len(set(names)) == len(levels) and all(names)


def test_places_tell_levels_apart(designs) -> None:
    axis, = design.axes(designs["kumbhar"])
    table = rec.trials(designs["kumbhar"])
    assert axis.places(table).tolist() == list(range(5)) * 10
    assert axis.places(table.assign(blur_sd=np.nan)).eq(-1).all()
