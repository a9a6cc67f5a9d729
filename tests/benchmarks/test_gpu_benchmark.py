"""The benchmark for GPUs: what it says without one, and its contestants as far as they run elsewhere."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from benchmark_helpers import built, measured

import minidrop as md
from benchmarks import gpu, harness, results
from benchmarks.contestants import on_gpu
from benchmarks.contestants.minidrop_step import MinidropStep
from benchmarks.harness import Pace, agree
from benchmarks.workload import Workload

ROOT = Path(__file__).parents[2]
CASES = {case.name: case for case in gpu.cases(quick=True)}
STEPS, REPLICAS, EPOCH, *REST = CASES.values()
UPDATES = [case for case in REST if "weights" in case.parameters]
#: of contestants that are not minidrop's, on a processor
OTHERS = {"PyTorch": {"device": "cpu"}, "PyTorch, fused": {"device": "cpu"}, "JAX": {}}


def test_without_a_gpu_it_is_one_line_and_exit_2():
    if harness.finds_gpu("cupy"):
        pytest.skip("there is a GPU")
    run = [sys.executable, "-m", "benchmarks", "gpu"]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", gpu.NEEDS + "\n")


@pytest.mark.parametrize("quick", [True, False])
def test_all_that_issue_and_document_ask_for_is_there(quick):
    cases = gpu.cases(quick)
    kinds = ["operations", "steps", "train", "weights"]
    assert all(any(kind in case.parameters for case in cases) for kind in kinds)
    assert all(one.gpu for case in cases for one in case.contestants)
    makers = [one.make.split(":") for case in cases for one in case.contestants]
    assert all((ROOT / f"{module.replace('.', '/')}.py").exists() for module, _ in makers)
    assert len({case.name for case in cases}) == len(cases)


def contestant(case, label):
    return next(one for one in case.contestants if one.label == label)


def given(one, arguments):
    """A contestant with other arguments."""
    return replace(one, arguments={**one.arguments, **arguments})


def others(case):
    """What PyTorch and JAX compute for a case on a processor, as far as they are installed."""
    found = {}
    for one in case.contestants:
        module = one.needs[0]
        if one.label in OTHERS and harness.find_spec(module):
            work = built(given(one, OTHERS[one.label]))
            found[one.label] = work.values(case.values)
            work()
            work.synchronise()
    return found


@pytest.mark.parametrize("label", ["minidrop", "minidrop, gradients", "minidrop, launches"])
def test_minidrop_does_the_step_of_the_workload(device, stand_in, label):
    one = contestant(STEPS, label)
    work, count = built(one), STEPS.parameters["steps"]
    fields = {name: value for name, value in one.arguments.items() if name in vars(Workload())}
    with md.using_backend("numpy"):
        host = MinidropStep(Workload(**fields), fused=True)
    agree(STEPS, {"device": work.values(5), "host": [float(host()) for _ in range(5)]})
    before = work.step.optimizer.steps
    work()
    work.synchronise()
    assert work.step.optimizer.steps == before + count


def test_a_step_in_graphs_says_how_many_nodes_it_has(device, stand_in, monkeypatch):
    monkeypatch.setattr(on_gpu, "nodes", len)
    found = {}
    for label in ("minidrop", "minidrop, gradients", gpu.PRODUCTS, gpu.COPIES):
        work = built(contestant(STEPS, label))
        work()
        found[label] = work.facts()["nodes"]
    assert found[gpu.PRODUCTS] == 3 + 3 + 2  # forwards, for dW and for dx
    assert found["minidrop"] > found[gpu.PRODUCTS]
    launched = built(contestant(STEPS, "minidrop, launches"))
    launched()
    assert launched.facts() == {}


@pytest.mark.parametrize("status", [0, 400])
def test_the_driver_is_asked_for_nodes(monkeypatch, status):
    def ask(graph, where, count):
        assert (graph.value, where) == (1234, None)
        count._obj.value = 7
        return status

    monkeypatch.setattr(on_gpu, "CDLL", lambda name: SimpleNamespace(cuGraphGetNodes=ask))
    graph = SimpleNamespace(graph=1234)
    if status:
        with pytest.raises(RuntimeError, match="error 400"):
            on_gpu.nodes(graph)
    else:
        assert on_gpu.nodes(graph) == 7


def test_copies_move_as_many_bytes_as_a_step_must(device, stand_in, monkeypatch):
    copied, copyto = [], device.xp.copyto

    def counted(target, source):
        copied.append(target.nbytes + source.nbytes)
        copyto(target, source)

    monkeypatch.setattr(device.xp, "copyto", counted)
    one = contestant(STEPS, gpu.COPIES)
    work = built(one)
    once, moved = sum(copied) / (1 + on_gpu.RECORDED), one.arguments["moved"]
    assert moved - 8 < once <= moved
    work()
    work.synchronise()


def test_all_replicas_do_the_step_of_the_first(device, stand_in):
    works = [built(one) for one in REPLICAS.contestants]
    agree(REPLICAS, {str(i): work.values(5) for i, work in enumerate(works)})
    for work in works:
        work()
        work.synchronise()
    assert all(step.launches.startswith("in CUDA graphs") for step in works[-1].step.steps)


def test_epochs_begin_from_the_same_net(device, stand_in, monkeypatch):
    small = {"train": 64, "test": 20}
    for module in ("minidrop_epoch", "torch_epoch"):
        monkeypatch.setattr(f"benchmarks.contestants.{module}.TEST_BATCH", 20)
    ours = built(given(contestant(EPOCH, "minidrop"), small))
    values = {"minidrop": ours.values(2)}
    ours()
    ours.synchronise()
    assert ours.parts() == {}
    assert ours.step.launches.startswith("in CUDA graphs")
    if harness.find_spec("torch"):
        theirs = built(given(contestant(EPOCH, "PyTorch"), small | {"device": "cpu"}))
        values["PyTorch"] = theirs.values(2)
        theirs()
        theirs.synchronise()
    agree(EPOCH, values)


def test_others_do_the_same_step_as_far_as_a_processor_can_show():
    fields = {k: v for k, v in contestant(STEPS, "JAX").arguments.items() if k in vars(Workload())}
    agree(STEPS, {"minidrop": MinidropStep(Workload(**fields), fused=True).values(5), **others(STEPS)})


@pytest.mark.parametrize("case", UPDATES, ids=lambda case: case.name)
def test_updates_come_to_the_same_weights(device, stand_in, case):
    ours = built(contestant(case, "minidrop"))
    agree(case, {"minidrop": ours.values(case.values), **others(case)})
    ours()
    ours.synchronise()
    copy = built(contestant(case, "copy"))
    copy()
    copy.synchronise()


def test_a_limit_that_is_left_out_is_noticed(device, stand_in):
    case = next(case for case in UPDATES if case.name.startswith("hinton"))
    one = contestant(case, "minidrop")
    limited = built(one).values(case.values)
    free = built(given(one, {"name": "momentum"})).values(case.values)
    with pytest.raises(harness.DisagreementError):
        agree(case, {"limited": limited, "free": free})


def test_rates_and_the_roof():
    made = measured(STEPS, {"minidrop": 2e-3, gpu.PRODUCTS: 1e-3, gpu.COPIES: 0.5e-3})
    ours, products, copies = made["contestants"]
    count, done, moved = (made["parameters"][name] for name in ("steps", "operations", "bytes"))
    assert gpu.rate(products, made) == f"{done * count / 1e-3 / 1e12:.1f} TFLOP/s"
    assert gpu.rate(copies, made) == f"{moved * count / 0.5e-3 / 1e9:.0f} GB/s"
    assert [gpu.of_the_roof(one, made) for one in (ours, products, copies)] == ["50%", "100%", "200%"]
    update = measured(UPDATES[0], {"minidrop": 5e-3, "copy": 1e-3})
    n = update["parameters"]["weights"]
    assert gpu.rate(update["contestants"][1], update) == f"{n * 8 / 1e-3 / 1e9:.0f} GB/s"
    assert gpu.of_the_roof(update["contestants"][0], update) == f"{20 / 8 / 5:.0%}"
    alone = measured(EPOCH, {"minidrop": 1.0})
    assert gpu.of_the_roof(alone["contestants"][0], alone) == ""
    assert gpu.graph_nodes(alone["contestants"][0], alone) == ""
    assert gpu.graph_nodes({"facts": {"nodes": 21.25}}, alone) == "21.2"


def test_a_results_provenance_names_the_gpu(monkeypatch):
    monkeypatch.setattr(results, "about_gpu", lambda: "A GPU; CUDA 12090 driver 13000")
    assert results.provenance(Pace())["gpu"] == "A GPU; CUDA 12090 driver 13000"
    monkeypatch.undo()
    if not harness.finds_gpu("cupy"):
        assert harness.about_gpu() == ""
        assert "gpu" not in results.provenance(Pace())


def test_the_program_that_asks_for_the_gpu_runs(device, stand_in, capsys):
    exec(harness.ABOUT_GPU, {})
    name, products, versions = capsys.readouterr().out.splitlines()
    assert (name, products) == (device.device(), f"products: {device.products}")
    assert versions == "CUDA 12080 driver 12080"


def test_the_figure_leaves_the_loops_out():
    drawn = {
        "cases": [measured(case, {one.label: 1.0 for one in case.contestants}) for case in CASES.values()]
    }
    labels = [text.get_text() for text in gpu.draw(drawn).axes[0].texts]
    assert all(case.name in labels for case in CASES.values() if "pass" not in case.parameters)
    assert not any(case.name in labels for case in CASES.values() if "pass" in case.parameters)
