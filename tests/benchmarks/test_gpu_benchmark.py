"""The benchmark for GPUs: what it says without one, and its contestants as far as they run elsewhere."""

import subprocess
import sys
from pathlib import Path

import pytest
from benchmark_helpers import built

import minidrop as md
from benchmarks import gpu, harness
from benchmarks.contestants import on_gpu
from benchmarks.contestants.minidrop_step import MinidropStep
from benchmarks.harness import Contestant, agree
from benchmarks.workload import Workload

ROOT = Path(__file__).parents[2]
SMALL = gpu.cases(quick=True)[0]


def test_without_a_gpu_it_is_one_line_and_exit_2():
    if harness.finds_gpu("cupy"):
        pytest.skip("there is a GPU")
    run = [sys.executable, "-m", "benchmarks", "gpu"]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", gpu.NEEDS + "\n")


def contestant(label) -> Contestant:
    return next(one for one in SMALL.contestants if one.label == label)


@pytest.mark.parametrize("label", ["minidrop", "minidrop, gradients", "minidrop, launches"])
def test_minidrop_does_the_step_of_the_workload(device, stand_in, monkeypatch, label):
    monkeypatch.setattr(on_gpu, "STEPS", 4)
    work = built(contestant(label))
    with md.using_backend("numpy"):
        host = MinidropStep(Workload(**contestant("minidrop").arguments), fused=True)
    agree(SMALL, {"device": work.values(5), "host": [float(host()) for _ in range(5)]})
    before = work.step.optimizer.steps
    work()
    work.synchronise()
    assert work.step.optimizer.steps == before + 4


def test_the_floor_is_the_products_alone(device, stand_in):
    work = built(contestant("matrix products alone"))
    work()
    work.synchronise()


def test_others_do_the_same_step_as_far_as_a_processor_can_show(monkeypatch):
    monkeypatch.setattr(on_gpu, "STEPS", 2)
    fields = contestant("PyTorch").arguments
    values = {"minidrop": MinidropStep(Workload(**contestant("JAX").arguments), fused=True).values(5)}
    if harness.find_spec("torch"):
        work = on_gpu.torch(**fields, device="cpu")
        values["torch"] = work.values(5)
        work()
    if harness.find_spec("jax"):
        work = on_gpu.jax(**contestant("JAX").arguments)
        values["jax"] = work.values(5)
        work()
        work.synchronise()
    agree(SMALL, values)


@pytest.mark.parametrize("who", ["minidrop", "copy"])
def test_updates(device, stand_in, who):
    work = on_gpu.update(who=who, name="hinton", n=20_000)
    work()
    work.synchronise()


def test_rates():
    def rate(case, label, seconds):
        return gpu.rate({"label": label, "seconds": [seconds]}, {"parameters": case.parameters})

    step, update = SMALL, next(case for case in gpu.cases(quick=True) if "weights" in case.parameters)
    assert rate(step, "minidrop", step.parameters["operations"] / 1e12) == "1.0 TFLOP/s"
    assert rate(update, "copy", update.parameters["weights"] * 8 / 1e9) == "1 GB/s"
