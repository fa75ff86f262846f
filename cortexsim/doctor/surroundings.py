"""Processors, memory, disk, and the data that are there."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import warnings
from pathlib import Path

from .. import machine, resources
from .section import Section, size

#: With less than this a run of a network that comes along is short of memory, or of disk.
_MEMORY, _DISK = 2e9, 1e9
#: Types of file systems that lie on another machine.
_REMOTE = ("nfs", "cifs", "smb", "fuse.sshfs", "lustre", "beegfs", "gpfs", "ceph", "glusterfs",
           "afs", "9p")


def processors(section: Section) -> None:
    """Say what there is to compute with, and how much of it is used."""
    there, limit = machine.cores(), machine.core_limit()
    whole = os.cpu_count()
    usable = f"{there} of {whole}" if there != whole else f"{there}"
    section.say("processor", f"{machine.processor()}; cores: {usable}"
                + (f", a container's limit of {limit:g}" if limit else "")
                + f"; bf16 is {'' if machine.native_bf16() else 'not '}native")
    import torch

    threads = torch.get_num_threads()
    given = [f"{name}={os.environ[name]}" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
             if os.environ.get(name)]
    why = ", ".join(given) or "PyTorch's choice"
    section.say("threads", f"{threads} ({why}); {torch.backends.cpu.get_cpu_capability()}")
    if given and there is not None and threads * 4 <= there:
        section.warnings.append(f"{why} leaves {there - threads} of {there} cores idle: unset it, "
                                "unless other work needs them")
    if limit is not None and threads > limit + 0.5:
        section.warnings.append(f"{threads} threads share {limit:g} cores of a container: "
                                f"OMP_NUM_THREADS={max(1, int(limit))} is faster")
    section.say("CUDA", _cuda())


def _cuda() -> str:
    """Say which GPUs there are, or why there is none."""
    import torch

    if torch.version.cuda is None:
        return f"none: PyTorch {torch.__version__} is built without it"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = torch.cuda.is_available()
    driver = re.search(r"Kernel Module.*?(\d+\.[\d.]+)", _text("/proc/driver/nvidia/version"))
    built = f"PyTorch built for CUDA {torch.version.cuda}, " + (
        f"driver {driver[1]}" if driver else "no NVIDIA driver found")
    if not found:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        why = [f"CUDA_VISIBLE_DEVICES={hidden!r}"] if hidden is not None else []
        why += [str(one.message).splitlines()[0] for one in said]
        return f"none ({'; '.join([built, *why])})"
    devices = []
    for i in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(i)
        free = torch.cuda.mem_get_info(i)[0]
        devices.append(f"cuda:{i} {about.name}, {size(about.total_memory)}, {size(free)} free")
    return f"{'; '.join(devices)} ({built})"


def memory_and_disk(section: Section) -> None:
    """Say how much memory and disk there is, and where."""
    free, limit = machine.available(), machine.memory_limit()
    section.say("memory", f"{size(free)} free of {size(machine.total())}"
                + (f", a container's limit of {size(limit)}" if limit else ""))
    if free is not None and free < _MEMORY:
        section.warnings.append(f"{size(free)} of memory is little: batches will be small; "
                                "close other programs, or give the container more")
    for name, find in (("here", os.getcwd), ("data", _data_root),
                       ("temporary", tempfile.gettempdir)):
        try:
            _disk(section, name, Path(find()))
        except Exception as problem:  # a folder that is gone, and no reason to leave out others
            section.failed(problem)


def _data_root() -> Path:
    from ..stimuli.cifar10 import default_root

    return default_root()


def _disk(section: Section, name: str, folder: Path) -> None:
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free, kind = shutil.disk_usage(there).free, _file_system(there)
    writable = os.access(there, os.W_OK)
    section.say(name, f"{size(free)} free{f' ({kind})' if kind else ''}"
                      f"{'' if writable else ', read-only'}, {folder}"
                      f"{'' if there == folder else ', not there yet'}")
    if name == "data":
        return  # it is read, and most never need it
    if not writable:
        section.warnings.append(f"nothing can be written to {there}: "
                                + ("go to another folder, or give --out" if name == "here"
                                   else "set TMPDIR to another folder"))
    elif free < _DISK:
        section.warnings.append(f"{size(free)} is little room in {there} for recordings")
    if kind.startswith(_REMOTE):
        section.warnings.append(f"{there} lies on another machine ({kind}): recordings are written "
                                "faster to a local disk, which --out can name")


def _file_system(folder: Path) -> str:
    """Return the type of the file system that a folder lies on, empty where nobody says."""
    place, found = folder.resolve(), ("", "")
    for line in _text("/proc/mounts").splitlines():
        _, mount, kind, *_ = line.split()
        # spaces are written as \040
        mount = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), mount)
        # of two at one place the later lies above
        if place.is_relative_to(mount) and len(mount) >= len(found[0]):
            found = (mount, kind)
    return found[1]


def data(section: Section) -> None:
    """Say what comes along and whether it is whole, and what else is found."""
    from ..models import checkpoint
    from ..stimuli.cifar10 import FOLDER, default_root
    from ..stimuli.lookup import find_protocol

    section.say("along", f"{resources.folder('data')}, {resources.folder('protocols')}")
    for what, names, read in (
            ("networks", resources.networks(), checkpoint.load),
            ("protocols", resources.protocols(), find_protocol)):
        broken = 0
        for name in names:
            try:
                read(name)
            except Exception as problem:  # each is asked, whatever is wrong with another
                broken += 1
                section.faults.append(f"{what.removesuffix('s')} {name}: "
                                      f"{type(problem).__name__}: {problem}")
        section.say(what, f"{len(names) - broken} of {len(names)} can be used"
                    + (f": {', '.join(names)}" if what == "networks" else ""))
        if not names:
            section.faults.append(f"no {what} came along: install CortexSim again")
    root = default_root()
    places = [place / FOLDER for place in (root, root.parent)]
    there = next((place for place in places if place.is_dir()), None)
    section.say("CIFAR-10", f"{there}, {len(list(there.glob('*_batch*')))} of 6 files" if there
                else f"not in {root} (CORTEXSIM_DATA or --data-root can name another folder)")


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
