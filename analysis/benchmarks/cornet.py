"""What a step costs, beside a step of a network like CORnet-RT.

    python analysis/benchmarks/cornet.py [--rounds 9] [--out results.json]

CORnet-RT (Kubilius et al. 2018, bioRxiv 408385) has four areas; each convolves its input,
normalizes it, adds its own state of the step before, convolves again and normalizes, with
a ReLU behind each normalization. All areas work at every step on what the area below had
at the step before. Written here from that description as an area graph, with these
differences:

- the input and the state are convolved one by one with the same (tied) weight, and summed
  behind that: the same linear map, but twice its multiply-adds, and each of the two is
  normalized by itself, where the original normalizes their sum;
- batch normalization with calibrated statistics in place of group normalization;
- an area that nothing has reached yet is not computed; the original convolves zeros;
- 10 classes in place of 1000, and images of 32 pixels, so that V1 to IT have 8, 4, 2 and 1
  rows and columns. Weights are random: it is timed, not judged.

Each network shows the same number of images for 5 steps, every area recorded as spatial
means and scores read at every step, as `cortexsim run` does, up to the disk.
"""

from __future__ import annotations

import statistics

import common

from cortexsim.graph import Area, AreaGraph, Connection, Normalization, PreNet
from cortexsim.models import parameter_count

STEPS = 5
STIMULI = 128


def like_cornet_rt(pixels: int = 32) -> AreaGraph:
    """Return the graph; the image is an area of its own, which reaches V1 in one step."""
    names, channels = ["V1", "V2", "V4", "IT"], [64, 128, 256, 512]
    areas, connections = [Area("image", 3, pixels, pixels)], []
    for k, (name, count) in enumerate(zip(names, channels, strict=True)):
        size = pixels // (4 * 2**k)
        areas.append(Area(name, count, size, size, activation="relu"))
        own = f"{name}_conv"
        connections += [
            Connection(areas[-2].name, name, "cbr", kernel=(7 if k == 0 else 3, 3),
                       middle=(count,), tie=(f"{name}_input", own)),
            Connection(name, name, "cbr", layers=1, tie=(own,)),
        ]
    return AreaGraph(tuple(areas), tuple(connections), image=(3, pixels, pixels),
                     input="sustained", readout_time=STEPS, pre_net=PreNet(0),
                     post_net="pool-fc", normalization=Normalization("shared", "shared"),
                     name="like CORnet-RT")


def main() -> None:
    """Time the three networks in turn."""
    options = common.parser(__doc__, rounds=9).parse_args()
    results = common.begin(options)
    networks = {"like CORnet-RT": common.untrained(like_cornet_rt()),
                "digits-leaky": common.small(), "fig9-3state-full": common.large()}
    calls = {}
    for name, (network, images) in networks.items():
        areas = tuple(area for area in network.graph.names if area != "image")
        for precision in ("float32", "bf16"):
            calls[f"{name} {precision}"] = common.simulate(common.planned(
                network, images, common.shown_for(STEPS), precision=precision,
                stimuli=min(STIMULI, len(images)), areas=areas))
    times = common.in_turn(calls, options.rounds)
    print(f"{'':18s} parameters  M multiply-adds   float32                  bf16\n"
          f"{'':18s}             per full step     ms per image and step, median [range]")
    for name, (network, images) in networks.items():
        count = STEPS * min(STIMULI, len(images))
        row: dict[str, object] = {"parameters": parameter_count(network),
                                  "multiply-adds": common.macs(network.graph, STEPS)}
        line = f"{name:18s} {row['parameters']:10,d} {row['multiply-adds'] / 1e6:15.1f}  "
        for precision in ("float32", "bf16"):
            each = sorted(1e3 * t / count for t in times[f"{name} {precision}"])
            median = statistics.median(each)
            line += f" {median:7.3f} [{each[0]:.3f}, {each[-1]:.3f}]"
            row[precision] = {"median ms": round(median, 4), "lowest": round(each[0], 4),
                              "highest": round(each[-1], 4)}
        print(line)
        results[name] = row
    common.finish(options, results)


if __name__ == "__main__":
    main()
