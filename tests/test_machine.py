"""What the system says of processor, cores and memory."""

from __future__ import annotations

import pytest

from cortexsim import machine


def test_the_least_of_machine_and_cgroup(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    free = machine.available()
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("600\n")
    assert free is None or machine.available() > 10**6
    assert machine.memory_limit() is None
    (tmp_path / "memory.max").write_text("1000\n")
    assert (machine.available(), machine.memory_limit()) == (400, 1000)
    # files in memory are given up when it is needed
    (tmp_path / "memory.stat").write_text("anon 300\ninactive_file 250\n")
    assert machine.available() == 650
    (tmp_path / "memory.current").write_text("2000\n")
    assert machine.available() == 0


@pytest.mark.parametrize("file, text, limit", [
    ("cpu.max", "max 100000\n", None), ("cpu.max", "150000 100000\n", 1.5),
    ("cpu/cpu.cfs_quota_us", "-1\n", None), ("cpu/cpu.cfs_quota_us", "200000\n", 2.0),
])
def test_the_cores_that_a_container_gives(tmp_path, monkeypatch, file, text, limit):
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    assert machine.core_limit() is None
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / file).write_text(text)
    assert machine.core_limit() == limit


def test_where_the_system_says_nothing(tmp_path, monkeypatch):
    for name in ("_CGROUP", "_MEMINFO", "_CPUINFO"):
        monkeypatch.setattr(machine, name, tmp_path / "nothing")
    assert machine.total() is machine.available() is machine.memory_limit() is None
    assert machine.processor() and not machine.native_bf16()
