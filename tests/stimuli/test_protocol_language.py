"""What a protocol file can say beyond one picture after another, and what it cannot."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from cortexsim.errors import ProtocolError
from cortexsim.stimuli.protocol import (
    Change,
    Condition,
    Intervention,
    Picture,
    Presentation,
    Protocol,
)

HEAD = "name: x\nms_per_step: 10\nduration_ms: 100\n"  # 10 steps
TARGET = "  - {show: target, at_ms: 0, for_ms: 20}\n"


def parse(text: str) -> Protocol:
    return Protocol.from_text(HEAD + text, "p.yaml")


def entries(*lines: str) -> str:
    return "timeline:\n" + "".join(f"  - {{{line}}}\n" for line in lines)


def timeline(*lines: str, head: str = "") -> list[list[str]]:
    protocol = parse(head + entries(*lines))
    return [protocol.timeline(condition) for condition in protocol.conditions]


def spans(condition: Condition) -> list[tuple[str, int, int]]:
    return [(item.show, item.start, item.stop) for item in condition.presentations]


# --- time


def test_after_counts_from_the_end_of_the_entry_before_in_the_file() -> None:
    protocol = parse("factors: {soa_ms: [10, 30]}\n" + entries(
        "show: target, at_ms: 10, for_ms: $soa_ms",
        "show: none, after_ms: 0, for: {steps: 2}",  # nothing, but it takes its time
        "show: grey, after: {steps: 1}, for_ms: 10",
        "show: white_noise, at_ms: 0, for_ms: 10",
        "show: pink_noise, after_ms: 70, until: end"))
    one, two = protocol.conditions
    assert spans(one) == [("white_noise", 0, 1), ("target", 1, 2), ("grey", 5, 6),
                          ("pink_noise", 8, 11)]
    assert spans(two) == [("white_noise", 0, 1), ("target", 1, 4), ("grey", 7, 8),
                          ("pink_noise", 8, 11)]


def test_repetitions_have_pauses_between_them_only() -> None:
    protocol = parse("factors: {count: [0, 1, 3]}\n" + entries(
        "show: target, at_ms: 10, for_ms: 10, times: $count, isi_ms: 20",
        "show: grey, after_ms: 0, for_ms: 10"))
    assert [spans(one) for one in protocol.conditions] == [
        [("grey", 1, 2)],
        [("target", 1, 2), ("grey", 2, 3)],
        [("target", 1, 2), ("target", 4, 5), ("target", 7, 8), ("grey", 8, 9)],
    ]
    # each repetition is an onset of its own, even without a pause
    (again,) = parse(entries("show: target, at_ms: 0, for_ms: 20, times: 2")).conditions
    assert spans(again) == [("target", 0, 2), ("target", 2, 4)]
    # what was never shown is not asked for
    assert [set(one.asked) for one in protocol.conditions] == [{"nothing"}, {"target"},
                                                               {"target"}]


def test_a_stream_has_the_target_in_its_place() -> None:
    protocol = parse("factors: {count: [2, 4], place: [2, 1]}\nparallel: [[count, place]]\n"
                     + entries("show: grey, at_ms: 0, for_ms: 10",
                               "show: stream, images: $count, target: $place, after_ms: 0, "
                               "each_ms: 10, isi_ms: 10"))
    one, two = protocol.conditions
    assert spans(one) == [("grey", 0, 1), ("other_1", 1, 2), ("target", 3, 4)]
    assert spans(two) == [("grey", 0, 1), ("target", 1, 2), ("other_1", 3, 4), ("other_2", 5, 6),
                          ("other_3", 7, 8)]
    assert set(one.asked) == {"target"}
    assert protocol.drawn == {"other": 3} and protocol.others == 3


# --- what is shown


def test_names_of_images_and_what_masks_are_made_of() -> None:
    protocol = parse(
        "sources: {scenes: cifar10, my_2: ./there}\n"
        "factors: {m: [none, phase_scrambled, pink_noise, other_category, target]}\n"
        + entries("show: same_category, at_ms: 0, for_ms: 10",
                  "show: my_2_3, at_ms: 10, for_ms: 10",
                  "show: $m, of: set, at_ms: 20, for_ms: 10",
                  "show: $m, of: scenes_4, at_ms: 30, for_ms: 10"))
    found = [[item.picture for item in one.presentations][2:] for one in protocol.conditions]
    assert found == [
        [],
        [Picture("phase_scrambled", "set"), Picture("phase_scrambled", "scenes_4")],
        [Picture("pink_noise"), Picture("pink_noise", "scenes_4")],
        [Picture("other_category_1")] * 2,
        [Picture("target")] * 2,
    ]
    assert [item.show for item in protocol.conditions[0].presentations] == [
        "same_category_1", "my_2_3"]
    assert protocol.drawn == {"same_category": 1, "my_2": 3, "scenes": 4, "other_category": 1}
    assert protocol.others == 0


def test_changes_have_all_their_values_in_the_order_of_the_file() -> None:
    protocol = parse("factors: {level: [1, 0.5], by: [none, bars]}\n" + entries(
        "show: target, at_ms: 0, for_ms: 20, change: {blur: 2, contrast: $level, "
        "occlude: {by: $by, hidden: 0.25}}"))
    found = [one.presentations[0].picture.changes for one in protocol.conditions]
    blur = Change("blur", (("sd", 2),))
    occlude = Change("occlude", (("hidden", 0.25), ("by", "bars"), ("shade", 0.5)))
    assert found == [
        (blur, Change("contrast", (("level", 1),))),
        (blur, Change("contrast", (("level", 1),)), occlude),
        (blur, Change("contrast", (("level", 0.5),))),
        (blur, Change("contrast", (("level", 0.5),)), occlude),
    ]
    stream = parse(entries("show: stream, at_ms: 0, images: 2, target: 1, each_ms: 10, "
                           "change: {blur: 2}"))
    assert [item.picture for item in stream.conditions[0].presentations] == [
        Picture("target", changes=(blur,)), Picture("other_1", changes=(blur,))]


def test_catch_trials_and_trials_without_anything() -> None:
    protocol = parse("factors: {stimulus: [target, none]}\n" + entries(
        "show: $stimulus, at_ms: 0, for_ms: 20", "show: grey, at_ms: 20, for_ms: 10")
        + "summary: {readout_ms: 50}\n")
    assert [set(one.asked) for one in protocol.conditions] == [{"target"}, {"nothing"}]
    assert not protocol.asks_targets_only
    empty = parse(entries("show: none, at_ms: 0, until: end"))
    assert empty.conditions[0].presentations == () and set(empty.conditions[0].asked) == {"nothing"}
    assert empty.drive(empty.conditions[0], "onset") == [False] * 11
    hidden = parse(entries("show: target, at_ms: 0, for_ms: 20, change: {occlude: 1}"))
    assert hidden.asks_targets_only


# --- factors


def test_parallel_factors_go_together_and_all_else_is_crossed() -> None:
    protocol = parse(
        "factors: {a: [0.1, 0.2], m: [none, grey], b: [0, 0]}\nparallel: [[a, b]]\n"
        "repeats: 2\nblank: true\n" + entries(
            "show: target, at_ms: 0, for_ms: 20, change: {blur: $a, contrast: $b}",
            "show: $m, after_ms: 0, for_ms: 10"))
    assert [one.name for one in protocol.conditions] == [
        f"a={a}, m={m}, b=0, repeat={r}" for a in (0.1, 0.2) for m in ("none", "grey")
        for r in (1, 2)] + ["blank"]
    assert [one.repeat for one in protocol.conditions] == [1, 2] * 4 + [1]
    assert protocol.factors == {"a": (0.1, 0.2), "m": ("none", "grey"), "b": (0, 0),
                                "repeat": (1, 2)}
    assert protocol.conditions[1].factors == {"a": 0.1, "m": "none", "b": 0, "repeat": 2}
    blank = protocol.conditions[-1]
    assert blank == Condition("blank", {}, (Presentation(Picture("grey"), 0, 11),),
                              ("nothing",) * 11)
    assert len({*protocol.conditions}) == 9


def test_no_factor_is_called_repeat() -> None:
    text = "factors: {repeat: [10, 20]}\n" + entries("show: target, at_ms: 0, for_ms: $repeat")
    with pytest.raises(ProtocolError, match="'repeat' bears the name that 'repeats' gives"):
        parse(text)


def test_a_million_conditions_are_counted_not_made() -> None:
    levels = ", ".join(str(k / 10) for k in range(10))
    text = "factors:\n" + "".join(f"  {name}: [{levels}]\n" for name in "abcefg") + entries(
        "show: target, at_ms: 0, for_ms: 20, change: {contrast: $a, greyscale: $b, blur: $c, "
        "gaussian_noise: $g, salt_and_pepper: $e, occlude: $f}")
    begun = time.perf_counter()
    with pytest.raises(ProtocolError, match="p.yaml:4: factors: this makes 1,000,000 conditions, "
                                            "and 100,000 is the most"):
        Protocol.from_text(HEAD + text, "p.yaml")
    with pytest.raises(ProtocolError, match="repeats: this makes 1,000,001 conditions"):
        parse("repeats: 1000000\nblank: true\ntimeline:\n" + TARGET)
    assert time.perf_counter() - begun < 1


# --- folders


def test_folders_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (HEAD + f"dataset: ./pictures\nsources: {{a: ../b, c: digits, d: {tmp_path}/f, g: .}}\n"
            "timeline:\n" + TARGET)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "p.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    found = Protocol.from_yaml("deep/p.yaml")
    assert found.dataset == "deep/pictures"
    assert found.sources == {"a": "./b", "c": "digits", "d": f"{tmp_path}/f", "g": "./deep"}
    found = Protocol.from_text(text)
    assert found.dataset == "./pictures"
    assert found.sources == {"a": "../b", "c": "digits", "d": f"{tmp_path}/f", "g": "."}


# --- interventions


def test_interventions() -> None:
    protocol = parse(
        "factors: {cut: [none, V2>V1, feedback], sd: [0.1, 0.2, 0.3]}\nparallel: [[cut, sd]]\n"
        "timeline:\n" + TARGET + "interventions:\n"
        "  - {lesion: $cut, from_ms: 30, until_ms: 50}\n"
        "  - {lesion: [V2>V1, V4 > V2, $cut], from: {steps: 2}}\n"
        "  - {noise: all, sd: $sd, until: {steps: 4}}\n"
        "  - {clamp: V4, to: 0, from_ms: 50, until: end}\n"
        "  - clamp: V4\n    to: hold\n    until_ms: 990\n"
        "  - {scale: V1, by: 1.5}\n"
        "  - {delay: feedback, takes_ms: 30}\n"
        "  - {delay: V1>V2, takes: {steps: 2}}\n")
    one, two, three = (condition.interventions for condition in protocol.conditions)
    always = [("clamp", "V4", 0, 5, 11), ("clamp", "V4", "hold", 0, 11),
              ("scale", "V1", 1.5, 0, 11), ("delay", "feedback", 3, 0, 11),
              ("delay", "V1>V2", 2, 0, 11)]
    lesions = [("lesion", "V2>V1", None, 2, 11), ("lesion", "V4>V2", None, 2, 11)]
    assert one == tuple(Intervention(*values) for values in [
        *lesions, ("noise", "all", 0.1, 0, 4), *always])
    assert two[0] == Intervention("lesion", "V2>V1", None, 3, 5)
    assert three[0] == Intervention("lesion", "feedback", None, 3, 5)
    assert three[3:5] == (Intervention("lesion", "feedback", None, 2, 11),
                          Intervention("noise", "all", 0.3, 0, 4))
    # where the place is named, for the simulator's messages
    assert [item.where_in_file for item in two[:3]] == ["p.yaml:4", "p.yaml:10", "p.yaml:10"]
    assert [item.where_in_file for item in one[-5:]] == [
        "p.yaml:12", "p.yaml:13", "p.yaml:16", "p.yaml:17", "p.yaml:18"]
    assert not any(item.interventions for item in parse("timeline:\n" + TARGET).conditions)


def test_what_is_recorded() -> None:
    record = parse("timeline:\n" + TARGET + "record: {reduce: summary, dtype: float16, "
                   "summaries: [norm, distance]}\n").record
    assert (record.reduce, record.dtype, record.summaries) == ("summary", "float16",
                                                               ("norm", "distance"))
    record = parse("timeline:\n" + TARGET).record
    assert (record.reduce, record.dtype, record.summaries) == ("none", "float32", ())


# --- errors

F = "factors: {m: [grey, none]}\n"
MASK = "  - {show: $m, at_ms: 20, for_ms: 10}\n"


@pytest.mark.parametrize(("text", "expected"), [
    ("timeline:\n" + TARGET + "record: {reduce: units:x}\n",
     "p.yaml:6: record.reduce: should be none, mean, summary, or units:N with a number, as in "
     "units:50, got 'units:x'"),
    # starts and lengths
    (entries("show: target, after_ms: 0, for_ms: 10"),
     "p.yaml:5: timeline.0.after_ms: counts from the end of the entry before, and there is none"),
    (entries("show: target, at_ms: 0, until: end", "show: grey, after: {steps: 1}, for_ms: 10"),
     "p.yaml:6: timeline.1.after: counts from the end of the entry before, which is the end of"),
    (entries("show: target, at_ms: 0, after_ms: 0, for_ms: 10"), "exactly one of at_ms, at, after"),
    (entries("show: target, at_ms: 0, for_ms: 20, times: 7, isi_ms: 0"),
     "p.yaml:5: timeline.0.for_ms: in the condition 'x' 'target' is on until 140 ms, past the end"),
    (entries("show: target, at_ms: 0, until: end, times: 2"), "cannot be repeated"),
    (entries("show: target, at_ms: 0, for_ms: 10, isi_ms: 10"), "isi_ms is the pause between"),
    (entries("show: target, at_ms: 0, for_ms: 10, times: 2, isi_ms: 1, isi: {steps: 1}"),
     "give one of isi_ms and isi, not both"),
    (entries("show: target, at_ms: 0, for_ms: 10, times: 1.5"),
     "timeline.0.times: should be a whole number or a $factor, got 1.5"),
    ("factors: {r: [1, 2.5]}\n" + entries("show: target, at_ms: 0, for_ms: 10, times: $r"),
     "p.yaml:4: factors.r.1: should be a whole number of times, 0 or more, got 2.5"),
    (entries("show: target, at_ms: 0, for_ms: 10, times: -1"), "0 or more, got -1"),
    # streams
    (entries("show: stream, at_ms: 0, images: 3, each_ms: 10"), "the target's place"),
    (entries("show: stream, at_ms: 0, images: 3, target: 4, each_ms: 10"),
     "p.yaml:5: timeline.0.target: in the condition 'x' the target is number 4 of 3 images"),
    ("factors: {r: [1, 4]}\n" + entries("show: stream, at_ms: 0, images: 3, target: $r, "
                                        "each_ms: 10"),
     "p.yaml:4: factors.r.1: in the condition 'r=4' the target is number 4 of 3 images"),
    (entries("show: stream, at_ms: 0, images: 3, target: 0, each_ms: 10"), "1 or more, got 0"),
    (entries("show: stream, at_ms: 0, images: 3, target: 1, each_ms: 0"), "1 step or more, not 0"),
    (entries("show: stream, at_ms: 0, images: 3, target: 1, each_ms: 30, isi_ms: 10"),
     "timeline.0.each_ms: in the condition 'x' 'stream' is on until 110 ms, past the end"),
    (entries("show: stream, at_ms: 0, images: 3, target: 1, each_ms: 10, for_ms: 30"),
     "a stream is as long as its images"),
    (entries("show: stream, at_ms: 0, images: 3, target: 1, each_ms: 10, times: 3"),
     "times: not for 'show: stream'"),
    (entries("show: stream, at_ms: 0, images: 3, target: 1, each_ms: 10, ask: last"),
     "ask: for 'show: sequence' only"),
    (entries("show: sequence, at_ms: 0, images: 3, each_ms: 10, isi_ms: 10"), "follow each other"),
    (entries("show: target, at_ms: 0, for_ms: 10, target: 3"), "target: for 'show: stream' only"),
    # pictures
    (entries("show: scenes_1, at_ms: 0, for_ms: 10"), "unknown picture 'scenes_1'"),
    ("sources: {scenes: digits}\n" + entries("show: scene_1, at_ms: 0, for_ms: 10"),
     "did you mean 'scenes_1'"),
    ("sources: {other: digits}\ntimeline:\n" + TARGET, "p.yaml:4: sources.other: 'other_1' is an"),
    ("sources: {a-b: digits}\ntimeline:\n" + TARGET, "p.yaml:4: sources.a-b: should be a word"),
    (entries("show: target, of: other_1, at_ms: 0, for_ms: 10"),
     "p.yaml:5: timeline.0.of: says what a mask is made of, and 'target' is none: leave it out"),
    (F + "timeline:\n" + TARGET + MASK.replace("$m,", "$m, of: other_1,"), "'$m' is none"),
    (entries("show: pink_noise, of: set, at_ms: 0, for_ms: 10"),
     "p.yaml:5: timeline.0.of: only phase_scrambled can be made of the set's mean spectrum, not"),
    (entries("show: pink_noise, of: grey, at_ms: 0, for_ms: 10"),
     "unknown picture 'grey'; known: target, set, other_1"),
    # changes
    (entries("show: target, at_ms: 0, for_ms: 10, change: {contrst: 1}"),
     "p.yaml:5: timeline.0.change: unknown change 'contrst'; did you mean 'contrast'"),
    (entries("show: target, at_ms: 0, for_ms: 10, change: {occlude: {hidden: 1, buy: bars}}"),
     "p.yaml:5: timeline.0.change.occlude: unknown parameter of occlude 'buy'; did you mean 'by'"),
    (entries("show: target, at_ms: 0, for_ms: 10, change: {occlude: {by: bars}}"),
     "timeline.0.change.occlude: give hidden, as in occlude: {hidden: ...}"),
    (entries("show: target, at_ms: 0, for_ms: 10, change: {contrast: 2}"),
     "p.yaml:5: timeline.0.change.contrast: 'level' of 'contrast' must be a number from 0 to 1"),
    ("factors:\n  c:\n    - 0.5\n    - 80\n"
     + entries("show: target, at_ms: 0, for_ms: 10, change: {contrast: {level: $c}}"),
     "p.yaml:7: factors.c.1: 'level' of 'contrast' must be a number from 0 to 1"),
    (entries("show: target, at_ms: 0, for_ms: 10, change: {contrast: none}"), "got 'none'"),
    (entries("show: target, at_ms: 0, for_ms: 10, change: {contrast: [1]}"),
     "p.yaml:5: timeline.0.change.contrast: should be a number, a word or a $factor"),
    (entries("show: target, at_ms: 0, for_ms: 10, change: contrast"), "keys and values"),
    (entries("show: target, at_ms: 0, for_ms: 10, change: {contrast: $c}"),
     "p.yaml:5: timeline.0.change.contrast: unknown factor '$c'"),
    # factors
    (F + "parallel: [[m]]\ntimeline:\n" + TARGET + MASK, "p.yaml:5: parallel.0: should be two"),
    (F + "parallel: [[m, n]]\ntimeline:\n" + TARGET + MASK, "parallel.0: unknown factor 'n'"),
    (F + "parallel: [[m, m]]\ntimeline:\n" + TARGET + MASK, "the factor 'm' is named twice"),
    ("factors: {m: [grey, none], w: [10]}\nparallel: [[m, w]]\n"
     + entries("show: $m, at_ms: 0, for_ms: $w"),
     "p.yaml:5: parallel.0: factors that go together have as many levels: m has 2, w has 1"),
    ("factors: {m: [grey, grey], w: [10, 10]}\nparallel: [[m, w]]\n"
     + entries("show: $m, at_ms: 0, for_ms: $w"), "come together twice: m=grey, w=10"),
    ("factors: {m: [grey, none], w: [10, 20], e: [0, 1]}\nparallel: [[m, w], [w, e]]\n"
     + entries("show: $m, at_ms: 0, for_ms: $w, change: {blur: $e}"),
     "p.yaml:5: parallel.1: the factor 'w' is named twice"),
    ("factors:\n  m: [grey]\n  m: [none]\ntimeline:\n" + TARGET + MASK,
     "p.yaml:6: the key 'm' is given twice in one place"),
    (F + "factors: {m: [grey]}\ntimeline:\n" + TARGET + MASK, "p.yaml:5: the key 'factors' is"),
    ("repeats: 2\nfactors: {repeat: [10]}\n" + entries("show: target, at_ms: 0, for_ms: $repeat"),
     "p.yaml:5: factors.repeat: the factor 'repeat' bears the name that 'repeats' gives"),
    ("repeats: 0\ntimeline:\n" + TARGET, "p.yaml:4: repeats: should be greater than"),
    # interventions
    ("timeline:\n" + TARGET + "interventions: [{lesion: V1, noise: V1, sd: 1}]",
     "p.yaml:6: interventions.0: give exactly one of lesion, noise, clamp, scale, delay"),
    ("timeline:\n" + TARGET + "interventions: [{noise: V1}]", "give sd, as noise needs it"),
    ("timeline:\n" + TARGET + "interventions: [{delay: feedback}]",
     "a delay needs exactly one of takes_ms and takes"),
    ("timeline:\n" + TARGET + "interventions: [{lesion: V1, sd: 1}]", "sd: for noise only"),
    ("timeline:\n" + TARGET + "interventions: [{noise: V1, sd: -1}]",
     "p.yaml:6: interventions.0.sd: sd should be a number, 0 or more, got -1"),
    ("timeline:\n" + TARGET + "interventions: [{clamp: V1, to: held}]", "or hold"),
    ("timeline:\n" + TARGET + "interventions: [{delay: V1, takes_ms: 20}]",
     "p.yaml:6: interventions.0.delay: a delay is of a connection such as V2>V1, or one of"),
    ("timeline:\n" + TARGET + "interventions: [{noise: V1>V2, sd: 1}]",
     "noise is for the activity of an area, or all, not 'V1>V2'"),
    ("timeline:\n" + TARGET + "interventions: [{lesion: V1>>V2}]", "not 'V1>>V2'"),
    ("timeline:\n" + TARGET + "interventions: [{lesion: [V1, V1]}]", "names V1 twice"),
    ("timeline:\n" + TARGET + "interventions: [{lesion: 3}]", "should be a word, or a list"),
    ("factors: {cut: [V2>V1, V1-]}\ntimeline:\n" + TARGET + "interventions: [{delay: $cut, "
     "takes_ms: 20}]", "p.yaml:4: factors.cut.1: a delay is of"),
    ("timeline:\n" + TARGET + "interventions: [{delay: feedback, takes_ms: 0}]",
     "p.yaml:6: interventions.0.takes_ms: a connection takes one step or more"),
    ("timeline:\n" + TARGET + "interventions: [{delay: feedback, takes_ms: 25}]",
     "25 ms is not a whole number of steps of 10 ms"),
    ("timeline:\n" + TARGET + "interventions: [{delay: feedback, takes_ms: 20, from_ms: 20}]",
     "a delay lasts the whole trial: leave out from_ms"),
    ("timeline:\n" + TARGET + "interventions: [{lesion: V1, from_ms: 50, until_ms: 50}]",
     "interventions.0.until_ms: in the condition 'x' it ends at 50 ms and begins at 50 ms"),
    ("timeline:\n" + TARGET + "interventions: [{lesion: V1, from_ms: 110}]",
     "interventions.0.from_ms: in the condition 'x' it begins at 110 ms, after the end of the"),
    ("timeline:\n" + TARGET + "interventions: [{lesion: V1, until: 5}]", "should be end, or steps"),
    ("timeline:\n" + TARGET + "interventions: [{lesion: V1, until: end, until_ms: 5}]", "not both"),
    ("timeline:\n" + TARGET + "interventions: [{lesion: V1, from_ms: $f}]", "factor '$f'"),
    # the rest
    ("timeline:\n" + TARGET + "record: {dtype: float64}", "p.yaml:6: record.dtype: should be"),
    ("timeline:\n" + TARGET + "record: {summaries: [norm, norm]}", "should be different words"),
    ("timeline:\n" + TARGET + "record: {summaries: [variance]}", "p.yaml:6: record.summaries.0: "),
    (entries("show: grey, at_ms: 0, for_ms: 10") + "summary: {readout_ms: 50}",
     "p.yaml:6: summary.readout_ms: nothing is ever to be named, as the target is never shown"),
    ("blank: yes please\ntimeline:\n" + TARGET, "p.yaml:4: blank: "),
])
def test_errors_say_where_and_what(text: str, expected: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse(text)
    assert expected in str(caught.value)
    assert str(caught.value).startswith("p.yaml:")


def test_a_protocol_that_is_called_blank_has_no_blank() -> None:
    text = HEAD.replace("name: x", "name: blank") + "blank: true\ntimeline:\n" + TARGET
    with pytest.raises(ProtocolError, match="p.yaml:4: blank: its condition is called 'blank'"):
        Protocol.from_text(text, "p.yaml")
