"""How much memory there is, and how many stimuli go through the network at a time in it."""

from __future__ import annotations

import gc

import torch

from ..machine import available

#: Stimuli in a batch unless told otherwise: on processors more bring nothing, GPUs like more.
MOST = {"cpu": 32, "cuda": 256}
#: A chunk's buffers should stay below this.
CHUNK_BYTES = 256 * 2**20
#: Of the memory that is free, what a run sets out to take.
_SHARE = 0.5


def fitting_batch(wanted: int | None, stimuli: int, stimulus_bytes: int, activity_bytes: int,
                  device: torch.device) -> int:
    """Choose how many stimuli a chunk has, which go through the network together.

    Parameters
    ----------
    wanted
        The user's choice, taken as it is; ``None`` to choose by the memory there is.
    stimuli
        How many there are.
    stimulus_bytes
        What one stimulus in all its conditions takes in a chunk's buffers.
    activity_bytes
        What one stimulus takes while the network runs.
    device
        Where it runs.
    """
    if wanted is not None:
        return min(wanted, stimuli)
    most = min(MOST[device.type], CHUNK_BYTES // stimulus_bytes)
    there = {"cpu": available()}
    takes = {"cpu": 2 * stimulus_bytes}  # one chunk is written while the next is computed
    if device.type == "cuda":
        # none if it is not on this machine: batches get smaller there where they have to
        there["cuda"] = torch.cuda.mem_get_info(device)[0] if torch.cuda.is_available() else None
        takes["cuda"] = stimulus_bytes
    takes[device.type] += activity_bytes
    for kind, free in there.items():
        if free is not None:
            most = min(most, int(_SHARE * free) // takes[kind])
    # batches of one size, so that little of the last one is padding
    return -(-stimuli // -(-stimuli // max(1, most)))



def release() -> None:
    """Give back memory that is held without need."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
