"""`why` on jobs that wait for a burst buffer: burst_buffer/lua of Slurm itself, staged by a script of the test's."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import unavailable
from lab.cluster import Cluster, Site

# Of 10 in all, 3 fail to be set up until the file `repaired` is there, 8 are staged in once the file `stage` is.
SCRIPT = """
function slurm_bb_job_process(script) return slurm.SUCCESS end
function slurm_bb_pools()
  return slurm.SUCCESS, '{"pools":[{"id":"fast","quantity":10,"granularity":1}]}'
end
function slurm_bb_setup(job, uid, gid, pool, size, script)
  local repaired = io.open("DIR/repaired")
  if tonumber(size) == 3 and not repaired then return slurm.ERROR, "no such file system" end
  return slurm.SUCCESS
end
function slurm_bb_data_in(job, script)
  for _ = 1, 600 do
    local file = io.open("DIR/stage")
    if file then file:close() return slurm.SUCCESS end
    os.execute("sleep 0.1")
  end
  return slurm.ERROR
end
function slurm_bb_real_size(job) return slurm.SUCCESS, "8" end
function slurm_bb_get_status(uid, gid) return slurm.SUCCESS, "" end
"""
QUIET = ("job_teardown", "test_data_in", "paths", "pre_run", "post_run", "data_out", "test_data_out")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if reason := unavailable():
        pytest.skip(reason)
    with Cluster([Site("debian1", "debian")]) as made:
        conf = Path(made.lab.slurm_conf)
        text = SCRIPT.replace("DIR", str(conf.parent))
        text += "".join(f"function slurm_bb_{name}(...) return slurm.SUCCESS end\n" for name in QUIET)
        (conf.parent / "burst_buffer.lua").write_text(text)
        (conf.parent / "burst_buffer.conf").write_text("")
        made.lab.stop_slurmctld()
        with conf.open("a") as file:
            file.write("\nBurstBufferType=burst_buffer/lua\n")
        made.lab.start_slurmctld()
        yield made


def submit(cluster: Cluster, size: int) -> str:
    script = Path(cluster.lab.slurm_conf).parent / f"job{size}"
    script.write_text(f"#!/bin/sh\n#BB_LUA pool=fast capacity={size}\ntrue\n")
    os.chmod(script, 0o644)
    words = ["sbatch", "--parsable", "-t1", "--output=/dev/null", "--chdir=/tmp", str(script)]
    done = cluster.lab.run(words, user="pfalice")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def waits(cluster: Cluster, job: str, reason: str) -> dict[str, Any]:
    lab = cluster.lab
    lab.wait_until(lambda: lab.job(job)["reason"].startswith(reason), 60, f"job {job} to wait for {reason}")
    told: dict[str, Any] = json.loads(cluster.why(job, "--json"))
    return told


def test_a_burst_buffer_that_is_staged_full_or_failed(cluster: Cluster) -> None:
    lab = cluster.lab
    first = submit(cluster, 8)
    told = waits(cluster, first, "BurstBufferStageIn")
    assert "its data is being brought to the burst buffer" in told["sentence"]
    second = submit(cluster, 4)
    told = waits(cluster, second, "BurstBufferResources")
    assert "the burst buffer has no room for it" in told["sentence"]
    (Path(lab.slurm_conf).parent / "stage").write_text("")
    lab.wait_job(first, "COMPLETED")  # to wait was the step
    lab.wait_job(second, "COMPLETED")
    failed = submit(cluster, 3)
    told = waits(cluster, failed, "burst_buffer/lua")
    assert "is held since its burst buffer failed" in told["sentence"]
    assert "no such file system" in told["sentence"]
    (step,) = told["next"]
    assert step["commands"] == [f"scancel {failed}", "sbatch SCRIPT"]
    (Path(lab.slurm_conf).parent / "repaired").write_text("")
    lab.check_run(step["commands"][0].split(), user="pfalice")
    lab.wait_job(submit(cluster, 3), "COMPLETED")
