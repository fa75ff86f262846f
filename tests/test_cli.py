"""The program as a user meets it: every command, and one sentence for every mistake."""

from __future__ import annotations

import json
import os
import pickle
import re
import shlex
import shutil
import signal
import socket
from pathlib import Path

import click
import pandas as pd
import pytest
import xarray as xr
from click.testing import CliRunner, Result

from cortexsim import analysis, resources
from cortexsim.cli import main
from cortexsim.errors import RecordingError
from cortexsim.models import load, parameter_count
from cortexsim.simulation.batches import Batches

from .processes import Started, cortexsim


def call(line: str) -> Result:
    return CliRunner().invoke(main, shlex.split(line), prog_name="cortexsim")


def works(line: str) -> str:
    result = call(line)
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    return result.stdout


def fails(line: str, *words: str) -> str:
    """One sentence on stderr that holds these words, status 2, and nothing left behind."""
    before = set(Path().rglob("*"))
    result = call(line)
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code == 2 and result.stdout == ""
    assert result.stderr.startswith("cortexsim: ")
    assert result.stderr.endswith("\n") and "\n" not in result.stderr[:-1]
    for word in words:
        assert word in result.stderr
    assert set(Path().rglob("*")) == before
    return result.stderr


def protocol(old: str, new: str) -> str:
    """Write the short protocol with one change."""
    text = Path("short.yaml").read_text()
    assert old in text
    Path("changed.yaml").write_text(text.replace(old, new))
    return "changed.yaml"


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory) -> tuple[Path, str]:
    """Return the folder of a run with everything, and what it printed."""
    out = tmp_path_factory.mktemp("runs") / "masked"
    return out, works(f"run backward_mask --model {tiny} --trials 20 --reduce units:5 --out {out}")


# --- run


def test_a_run_leaves_recording_figure_and_tables(finished):
    out, said = finished
    names = {"recording.zarr", "figure.png", "figure.pdf", "accuracy.csv", "responses.csv",
             "provenance.json"}
    assert {path.name for path in out.iterdir()} == names
    with xr.open_datatree(out / "recording.zarr", engine="zarr") as tree:
        assert tree["scores"].dims == ("trial", "time", "class")
        assert tree["scores"].shape == (20, 31, 10)
        assert tree["IT/activation"].dims == ("trial", "time", "unit")
        assert tree["IT/activation"].sizes["unit"] == 5
        assert tree.attrs["complete"] is True and tree.attrs["model"] == "tiny"
        assert tree.attrs["seed"] == 0 and tree.attrs["dataset"] == "digits"
    assert (out / "figure.png").read_bytes().startswith(b"\x89PNG")
    table = pd.read_csv(out / "accuracy.csv")
    assert sorted(set(table["soa_ms"])) == [25, 50, 75, 100, 150] and set(table["n"]) == {2}
    responses = pd.read_csv(out / "responses.csv").set_index("area")
    assert responses["arrival_ms"].to_dict() == {"V1": 0, "V2": 12.5, "V4": 25, "IT": 37.5}
    assert said.startswith("Accuracy at 200 ms")
    assert "phase-scrambled" in said and "Response of each area" in said
    assert f"recording  {out / 'recording.zarr'}\nfigure     {out / 'figure.png'}\n" in said


def test_runs_are_counted_up_and_areas_chosen(folder, tiny):
    line = f"run short.yaml --model {tiny} --trials 4 --no-figure "
    works(line + "--record V1,IT --reduce none")
    said = works(line + "--record IT")
    assert "recording  runs/short-2/recording.zarr" in said and "figure" not in said
    assert {path.name for path in Path("runs").iterdir()} == {"short-1", "short-2"}
    assert not list(Path("runs").glob("*/figure*"))
    with xr.open_datatree("runs/short-1/recording.zarr", engine="zarr") as tree:
        assert list(tree.children) == ["V1", "IT"]
        assert tree["V1/activation"].shape == (4, 9, 2, 8, 8)
    with xr.open_datatree("runs/short-2/recording.zarr", engine="zarr") as tree:
        assert list(tree.children) == ["IT"] and tree["IT/activation"].shape == (4, 9, 4)


@pytest.mark.parametrize("who", ["--workers 2", "--scheduler tcp://127.0.0.1:9"])
def test_a_dry_run_has_no_workers(folder, tiny, who):
    fails(f"run short.yaml --model {tiny} --dry-run {who}", f"leave out {who.split()[0]} (")


def test_a_dry_run_says_all_and_writes_nothing(folder, tiny):
    said = works(f"run backward_mask --model {tiny} --trials 40 --dry-run")
    assert "soa_ms=25, mask=phase_scrambled   TTPPPP" in said
    assert "T target, . nothing, P phase_scrambled" in said
    assert "trials     40 (4 stimuli x 10 conditions), 30 steps each" in said
    for what in ("disk", "memory", "time"):
        assert re.search(rf"^{what} +[\d.,]+ (MB|s)", said, re.MULTILINE)
    assert set(Path().iterdir()) == {Path("short.yaml")}
    assert "trials     720 (" in works(f"run short.yaml --model {tiny} --trials 99999 --dry-run")


@pytest.mark.filterwarnings("default")
def test_trials_that_are_no_whole_stimuli_are_cut_with_a_word(folder, tiny):
    result = call(f"run short.yaml --model {tiny} --trials 5 --dry-run")
    assert result.exit_code == 0 and "trials     4 (2 stimuli x 2 conditions)" in result.stdout
    assert result.stderr.startswith("cortexsim: 5 trials cut to 4: 2 whole stimuli")
    assert ".py" not in result.stderr


def test_longer_than_calibrated(folder, tiny):
    long = protocol("duration_ms: 100", "duration_ms: 400")
    line = f"run {long} --model {tiny} --trials 2 --no-figure"
    fails(line, "statistics to t = 30", "needs them to t = 32", "--beyond last")
    fails(line + " --dry-run", "needs them to t = 32")
    works(line + " --beyond last --out past")
    with xr.open_datatree("past/recording.zarr", engine="zarr") as tree:
        assert tree.attrs["beyond"] == "last" and tree.sizes["time"] == 33


def test_mistakes_in_a_protocol(folder, tiny):
    fails(f"run {protocol('ms_per_step', 'ms_per_stp')} --model {tiny}",
          "changed.yaml:2: unknown key 'ms_per_stp'; did you mean 'ms_per_step'?")
    fails(f"run {protocol('for_ms: 25', 'for_ms: 30')} --model {tiny}",
          "changed.yaml:6: ", "30 ms is not a whole number of steps of 12.5 ms",
          "25 ms (2 steps) and 37.5 ms (3 steps)")
    fails(f"run {protocol('phase_scrambled', 'phase_scrambld')} --model {tiny}",
          "changed.yaml:4: ", "did you mean 'phase_scrambled'?")
    fails(f"run {protocol('none, phase', 'none, [phase')}", "changed.yaml:")
    fails("run missing.yaml", "missing.yaml: no such file",
          "protocols that come along: backward_mask, ", "tang2018")
    fails("run backwardmask", "unknown protocol 'backwardmask'; did you mean 'backward_mask'?")
    fails("run protocols/flashed.yaml", "comes along: cortexsim run flashed")
    fails("run ''", "unknown protocol ''")
    fails("run " + "x" * 300, "File name too long")
    fails("run short.yaml", "protocol 'short' names no model: give one with --model")


def test_a_file_of_another_kind_is_not_recited(folder):
    result = call("graph short.yaml")
    assert result.exit_code == 2 and "the key 'areas' is missing" in result.stderr
    assert result.stderr.count("\n") == 4 and "more like these" in result.stderr


def test_mistakes_in_the_options_of_a_run(folder, tiny):
    Path("taken/notes").mkdir(parents=True)
    line = f"run short.yaml --model {tiny} "
    fails(line + "--record V1,V3", "cannot record unknown area 'V3'", "known: V1, V2, V4, IT")
    fails(line + "--reduce unit:5", "unknown reduction 'unit:5'; did you mean 'units:500'?")
    fails(line + "--trials 1", "1 trials are too few", "all 2 conditions, so ask for 2 or more")
    fails(line + "--trials ten", "'--trials': 'ten' is not a valid integer", "cortexsim run --help")
    fails(line + "--dataset cifr10", "unknown data set 'cifr10'; did you mean 'cifar10'?")
    fails(line + "--dataset ''", "'--dataset': it is empty")
    fails(line + "--device cuda:99", "device 'cuda:99' is not there", "--device cpu")
    fails(line + "--device tpu", "unknown device 'tpu'", "cpu, cuda, cuda:0")
    fails(line + "--out taken", "taken is there already", "another folder with --out")
    fails(line + "--out taken --dry-run", "taken is there already")
    fails(line + "--out short.yaml/x", "cannot be made (Not a directory)", "--out")
    fails(line + "--modle x", "No such option '--modle'", "cortexsim run --help")
    fails("run", "Missing argument 'PROTOCOL'")
    fails(line + "--batch 0", "expected auto or a whole number above 0, got '0'")
    fails(line + "--dtype float8", "'float8' is not one of 'float32', 'float16'")
    assert not Path("runs").exists()


class Trap:
    """What a pickle can do: run a function of its author's choice when it is opened."""

    def __reduce__(self):
        return (open, ("pickle_was_run", "w"))


def test_checkpoints_that_are_none(folder, tiny):
    shutil.copytree(tiny, "cut")
    weights = Path("cut/weights.safetensors")
    weights.write_bytes(weights.read_bytes()[:-9])
    Path("foreign").mkdir()
    Path("foreign/network.json").write_text(json.dumps({"model_type": "resnet"}))
    Path("net.pt").write_bytes(pickle.dumps(Trap()))
    Path("lone.safetensors").write_bytes(b"")
    for command in ("run short.yaml --model", "evaluate", "graph", "train --resume"):
        fails(f"{command} cut", "cut/weights.safetensors: damaged or cut short", "copy or train")
        fails(f"{command} foreign", "foreign/network.json: not a CortexSim checkpoint")
        fails(f"{command} net.pt", "net.pt: not a CortexSim checkpoint", "opening one can run code")
        fails(f"{command} lone.safetensors", "not a CortexSim checkpoint (no network.json")
    fails("run short.yaml --model gone/net.pt", "gone/net.pt: no such checkpoint")
    fails("run short.yaml --model nobody", "unknown network 'nobody'", "or a checkpoint's path")
    fails("run short.yaml --model ''", "'--model': it is empty")


def test_images_that_do_not_fit(folder, tiny, coloured):
    fails(f"run short.yaml --model {coloured}", "'coloured' takes images of 3x32x32",
          "those of data set 'digits' are 1x32x32")
    for command in (f"run short.yaml --model {tiny}", f"evaluate {tiny}"):
        # said before a download is tried
        fails(f"{command} --dataset cifar10 --data-root nowhere", "takes images of 1x32x32",
              "such as digits")


@pytest.fixture
def offline(monkeypatch):
    def refuse(*address, **more):
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_cifar10_without_files_or_with_a_damaged_one(folder, coloured, offline):
    Path("empty").mkdir()
    batch = Path("bad/cifar-10-batches-py/data_batch_1")
    batch.parent.mkdir(parents=True)
    batch.write_bytes(b"half a file")
    for command in ("train", f"run short.yaml --model {coloured} --dataset cifar10"):
        fails(f"{command} --data-root empty", "CIFAR-10 is not in empty", "Network is unreachable",
              "put the official folder cifar-10-batches-py under empty, or pass --data-root")
        fails(f"{command} --data-root bad", f"{batch} is damaged", "remove it and")


def test_a_folder_in_which_nothing_can_be_written(tiny, tmp_path, monkeypatch):
    if os.geteuid():
        place = tmp_path / "closed"
        place.mkdir(mode=0o500)
    else:
        place = Path("/sys/kernel")  # closed even to root
        if not place.is_dir():
            pytest.skip("root may write everywhere here")
    monkeypatch.chdir(place)
    line = f"flashed --model {tiny} --trials 6 --no-figure"
    result = call(f"run {line}")
    assert result.exit_code == 2
    assert "runs/flashed-1: this folder cannot be made (" in result.stderr
    works(f"run {line} --out {tmp_path / 'elsewhere'}")


def test_ctrl_c_leaves_an_incomplete_recording_and_no_figure(folder, tiny):
    process = Started(folder.parent, cortexsim, "run", "backward_mask", "--model", str(tiny),
                      "--out", "out", "--reduce", "none")
    process.wait_for(lambda: list(Path("out").glob("recording.zarr/done/c/*")))
    assert (process.send(signal.SIGINT), process.stdout) == (130, "")
    assert re.fullmatch(r"cortexsim: stopped at trial \d+ of 3600\. Go on with: cortexsim run "
                        r"--resume out\n", process.stderr)
    assert [path.name for path in Path("out").iterdir()] == ["recording.zarr"]
    with pytest.raises(RecordingError, match="go on with: cortexsim run --resume out"):
        analysis.open("out/recording.zarr")


def test_a_run_goes_on_from_the_command_line(folder, tiny, blank, monkeypatch):
    line = f"run short.yaml --model {tiny} --trials 12 --batch 2 --reduce units:3 --seed 4"
    works(f"{line} --out whole --no-figure")
    compute = Batches.compute

    def stop(self, chunk):
        if chunk == 1:
            raise KeyboardInterrupt
        return compute(self, chunk)

    with monkeypatch.context() as patched:
        patched.setattr(Batches, "compute", stop)
        result = call(f"{line} --out half")
    assert result.exit_code == 130
    assert result.stderr == ("cortexsim: stopped at trial 4 of 12. Go on with: cortexsim run "
                             "--resume half\n")
    for mistake, words in (("--seed 4", "--seed"), ("--trials 12 --out x", "--trials, --out"),
                           ("short.yaml", "PROTOCOL")):
        fails(f"run --resume half {mistake}", f"as it was started: leave out {words}")
    fails("run --resume whole/accuracy.csv", "there is no recording to go on with")
    Path("short.yaml").unlink()  # the protocol is in the recording
    said = works("run --resume half")
    assert "recording  half/recording.zarr\nfigure     half/figure.png\n" in said
    for file in Path("whole/recording.zarr").rglob("c/**/*"):
        if file.is_file():
            assert file.read_bytes() == Path("half", *file.parts[1:]).read_bytes(), file
    assert Path("half/accuracy.csv").read_bytes() == Path("whole/accuracy.csv").read_bytes()
    # complete: the figure that is not there is made
    before = Path("whole/accuracy.csv").stat().st_mtime_ns
    assert "figure     whole/figure.png" in works("run --resume whole/recording.zarr")
    assert Path("whole/figure.png").exists()
    assert Path("whole/accuracy.csv").stat().st_mtime_ns == before


@pytest.mark.parametrize("reduce", ["none", "summary"])  # units are drawn above
def test_every_reduction_is_recorded_and_drawn(folder, tiny, reduce):
    line = f"run short.yaml --model {tiny} --trials 6 --out out "
    assert "figure     out/figure.png" in works(line + f"--reduce {reduce} --dtype float16")
    with analysis.open("out/recording.zarr") as tree:
        assert ("activation" in tree["V2"]) == (reduce != "summary")
        assert ("sparseness" in tree["V2"]) == (reduce == "summary")
        assert reduce == "summary" or tree["V2"]["activation"].dtype == "float16"


def test_what_a_precision_changes_is_said_and_recorded(folder, tiny):
    line = f"run short.yaml --model {tiny} --trials 8 --no-figure --check-precision "
    for said in (works(line + "--precision bf16 --dry-run"), works(line + "--precision bf16")):
        assert re.search(r"^bf16 against float32, 8 trials\n  V1 +differs by up to [\d.]+ % "
                         r"\(rms, at step \d\)\n", said, re.MULTILINE)
        assert re.search(r"accuracy [\d.]+ %, in float32 [\d.]+ %, over all readouts", said)
    with analysis.open("runs/short-1/recording.zarr") as tree:
        found = tree.attrs["precision_check"]
    assert 0 < found["areas"]["V1"][0] < 0.05 and found["trials"] == 8
    fails(line, "nothing to check: the run is in float32", "choose --precision bf16")


# --- the other commands


def test_evaluate(folder, tiny):
    said = works(f"evaluate {tiny}")
    assert said.startswith("tiny on digits, 360 test images\nstatistics: calibrated to t = 30\n")
    assert re.findall(r"^ +(\d+) +[\d.]+ %$", said, re.MULTILINE) == ["3", "4"]
    said = works(f"evaluate {tiny} --times 3,32 --beyond last --dataset digits-clean "
                 "--split validation")
    assert said.startswith("tiny on digits-clean, 137 validation images\nstatistics: calibrated "
                           "to t = 30; past t = 30 those of t = 30 (--beyond last)\n")
    fails(f"evaluate {tiny} --times 31", "a readout at t = 31?", "--beyond last")
    fails(f"evaluate {tiny} --times 1", "IT is empty at t = 1", "it can be read at 3, 4, 5")
    fails(f"evaluate {tiny} --times=-1", "readout times are 0 to 10,000 steps, got -1")
    fails(f"evaluate {tiny} --times 1000000000 --beyond last", "readout times are 0 to 10,000")
    fails(f"evaluate {tiny} --times 2,x", "whole numbers as in 2,4,8, got '2,x'")
    fails("evaluate nobody", "unknown network 'nobody'")


def test_graphs_are_printed_counted_and_drawn(folder, tiny):
    listed = works("graph --list")
    assert listed == works("graph") and "ventral-full " in listed
    said = works("graph ventral-adjacent --out fig.svg")
    assert "from\\to  V1" in said and said.endswith("picture    fig.svg\n")
    assert Path("fig.svg").read_text().startswith("<?xml")
    said = works(f"graph {tiny}")
    count = parameter_count(load(tiny).network)
    assert f"parameters {count:,d} (shared weights, readout at 4, 10 classes)" in said
    per_step = works(f"graph {tiny} --weights per-step --readout-time 6")
    assert "per-step weights, readout at 6" in per_step
    Path("two.yaml").write_text("name: two\nareas: {V1: [4, 16, 16], IT: [8, 8, 8]}\n"
                                "connectivity: adjacent\nreadout_time: 3\n")
    assert "V1 4x16x16, IT 8x8x8" in works("graph two.yaml")


def test_mistakes_with_graphs(folder, tiny):
    fails("graph ventral-ful", "did you mean 'ventral-full'?", "YAML file or a checkpoint")
    fails("graph fig6", "did you mean 'fig6-1state', 'fig6-2state' or 'fig6-3state-resnet'?")
    fails("graph fig10-adjacent --readout-time 3", "possible readout times: 2, 4, 6, 8, 10, 12")
    fails("graph gone.yaml", "gone.yaml: cannot be read (No such file or directory)")
    fails(f"graph {tiny} --out fig.txt", "fig.txt: a picture ends in one of .svg, .png, .pdf")
    fails(f"graph {tiny} --out gone/fig.svg", "cannot be written (No such file or directory)")
    fails(f"graph {tiny} --readout-time 1", "'IT' is empty at readout time 1", "3-11")
    fails("graph --out fig.svg", "which graph? give its NAME")
    fails("graph ventral-full --list", "--list takes neither")


def test_models():
    said = works("models")
    assert said.count("\n") == len(resources.networks())
    for name in resources.networks():
        assert re.search(rf"^{name} +[\d,]+ parameters  test accuracy at t = \d+: .* %", said,
                         re.MULTILINE)


def test_training_prints_where_the_network_is_and_how_to_run_it(folder, monkeypatch):
    monkeypatch.setattr("cortexsim.training.finish.CALIBRATION_IMAGES", 20)
    said = works("train --dataset digits-clean --holdout 1373 --batch-size 32 --epochs 1 "
                 "--areas V1,IT --channels 2,2 --sizes 8,4 --readout-time 2 --device cpu "
                 "--precision float32")
    assert said.startswith("test accuracy at t = 2: digits-clean ")
    assert "network    runs/train-1\n" in said
    assert "cortexsim run backward_mask --model runs/train-1" in said
    fails("train --resume runs/train-1", "its training is complete")


def test_mistakes_in_the_options_of_a_training(folder, tiny):
    Path("taken").mkdir()
    Path("taken/network.json").touch()
    fails("train --graph ventral-full --areas V1,V2 --input onset", "--graph already says",
          "leave out --areas, --input, or change ventral-full")
    fails(f"train --resume {tiny} --seed 0 --out x", "leave out --seed, --out")
    fails("train --channels 1,2", "channels: 2 given for 4 areas (V1, V2, V4, IT)")
    fails("train --channels 1,x", "whole numbers as in 24,32,48,64, got '1,x'")
    fails("train --sizes 16,7,5,3", "V1>V2: no stride joins 16x16 (V1) and 7x7 (V2)")
    fails("train --readout-time 2", "'IT' is empty at readout time 2", "3-12")
    fails("train --gain nan", "gain must be finite and above 0")
    fails("train --dataset imagenet", "unknown data set 'imagenet'", "digits-clean, cifar10")
    fails("train --recipe slow", "'slow' is not one of 'fast', 'paper'")
    digits = "train --dataset digits "
    fails(digits + "--graph ventral-adjacent", "images of digits are (1, 32, 32)", "(3, 32, 32)")
    fails(digits + "--out taken", "taken: is there already", "--resume taken")
    fails(digits + "--holdout 1437", "0 to 1436 can be held out, not 1437")
    fails(digits + "--batch-size 99999", "a batch of 99999 is more than the 10400 training images")
    fails(digits + "--device cuda:99", "device 'cuda:99' is not there")
    fails(digits + "--out short.yaml/x", "cannot be made (Not a directory)")


def test_a_ctrl_c_outside_of_the_epochs_says_how_to_go_on(folder, monkeypatch):
    def stop(graph, settings, out, **more):
        if saved:
            out.mkdir(parents=True, exist_ok=True)
            (out / "network.json").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("cortexsim.training.train", stop)
    for saved, option, place in [(False, "", ""), (True, "", "runs/train-1"),
                                 (True, "--out half", "half")]:
        result = call(f"train --dataset digits {option}")
        assert result.exit_code == 130
        more = f". Go on with: cortexsim train --resume {place}" if saved else ""
        assert result.stderr == f"cortexsim: stopped{more}\n"
        assert Path("runs").exists() == (place != "")  # an empty folder does not stay


@pytest.mark.parametrize("command", ["", "run ", "train ", "evaluate ", "calibrate ", "models ",
                                     "graph "])
def test_help_reads_well(command):
    said = works(command + "-h")
    assert said == works(command + "--help")
    assert not re.search(r"\w\.\.\.$", said, re.MULTILINE), "no text is cut short"
    assert max(map(len, said.splitlines())) <= 80
    # every option says something
    for option in main.commands[command.strip()].params if command else ():
        assert getattr(option, "help", None) or isinstance(option, click.Argument), option.name


def test_an_unknown_command(folder):
    fails("rnu", "No such command 'rnu'")
    assert works("--version").startswith("cortexsim, version ")


def test_calibrate(folder, tiny, coloured, offline):
    shutil.copytree(tiny, "net")
    said = works("calibrate net --steps 6 --images 20 --seed 3")
    assert said.startswith("statistics: calibrated on 20 images to t = 6\ntest accuracy at t = 4: ")
    assert said.endswith("network    net\n")
    assert "statistics: calibrated on 20 images to t = 6\n" in works("evaluate net --times 6")
    said = works("calibrate net --steps 5 --images 20 --dataset digits-clean --out longer/one")
    assert said.endswith("network    longer/one\n") and load("longer/one").name == "one"
    assert load("longer/one").card["calibration"]["dataset"] == "digits-clean"
    assert load("net").network.statistics_limit == 6
    fails("calibrate net --steps 6 --out net", "net is there already")
    fails("calibrate net --steps 1", "is read at t = 4")
    fails("calibrate net", "Missing option '--steps'")
    fails("calibrate digits-leaky --steps 64", "is not changed where it lies", "--out")
    fails("calibrate net --steps 9 --dataset cifar10", "takes images of 1x32x32")
    Path("empty").mkdir()
    card = json.loads((coloured / "network.json").read_text())
    shutil.copytree(coloured, "colour")
    card["data"]["dataset"] = "cifar10"
    Path("colour/network.json").write_text(json.dumps(card))
    fails("calibrate colour --steps 9 --data-root empty", "CIFAR-10 is not in empty",
          "Network is unreachable")


def test_a_recording_says_which_statistics_were_used(folder, tiny):
    works(f"run short.yaml --model {tiny} --trials 2 --no-figure --out short")
    long = protocol("duration_ms: 100", "duration_ms: 400")
    works(f"run {long} --model {tiny} --trials 2 --no-figure --beyond last --out long")
    for name, words in (("short", "calibrated to t = 30"), (
            "long", "calibrated to t = 30; past t = 30 those of t = 30 (--beyond last)")):
        with xr.open_datatree(f"{name}/recording.zarr", engine="zarr") as tree:
            assert tree.attrs["statistics"] == words


def test_train_from_a_trained_network(folder, tiny):
    line = f"train --init {tiny} --holdout 1333 --batch-size 16 --epochs 1 --precision float32 "
    # the data set is that of the network: scans that it holds out are few enough to be quick
    works(line + "--weights per-step --readout-time 3 --dataset digits-clean --out own")
    own = load("own")
    assert own.card["init"] == {"name": "tiny", "sha256": load(tiny).sha256}
    assert (own.network.graph.weights, own.network.graph.readout_time) == ("per-step", 3)
    assert own.network.graph.normalization.statistics == "time-specific"
    fails(line + "--gain 0.5 --channels 2,3,4,4", "--init takes the graph of its network: leave "
          "out --gain, --channels; only --readout-time, --input, --weights, --statistics, "
          "--scale-shift can change it")
    fails(line + "--graph fig1-resnet", "leave out --graph")
    fails("train --init own --weights shared", "cannot be one weight", "again")
    fails("train --init own --readout-time 4", "belong to the steps 1 to 3")
    fails("train --init nobody", "unknown network 'nobody'")


def test_what_a_folded_network_cannot_do(folder):
    """Advice leads somewhere: its weights end, so no calibration reaches further."""
    works("fold preact-resnet20 --out folded")
    fails("run flashed --model folded", "folded' does not say which images it was trained on")
    error = fails("evaluate folded --dataset digits", "takes images of 3xHxW of any size")
    assert "None" not in error
    works("fold preact-resnet20 --dataset digits --out digits")
    error = fails("evaluate digits --times 9,10", "weights of its own", "they end at t = 9")
    assert "calibrate" not in error and "--beyond" not in error
