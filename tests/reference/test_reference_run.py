"""Whole runs against PyTorch, shortened; and that a wrong update is seen in them."""

import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="the reference is written in PyTorch, which is not installed")

from tolerances import FLOAT32_ROUNDING

import minidrop as md
from minidrop.backends.numpy_backend import NumpyBackend
from reference import parity, runs
from reference.__main__ import main
from reference.tolerances import RUN_WEIGHTS


@pytest.fixture
def without_mnist(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIDROP_DATA", str(tmp_path / "nothing"))


def run(tmp_path, *options: str) -> tuple[int, list[dict]]:
    code = main(["run", "--steps", "12", "--out", str(tmp_path), *options])
    return code, json.loads((tmp_path / "results.json").read_text())["rows"]


@pytest.mark.usefixtures("without_mnist")
def test_two_optimizers_agree_and_are_drawn(tmp_path, capsys):
    code, rows = run(tmp_path, "--filter", "hinton", "--seed", "3")
    assert code == 0
    names = [name for name in runs.CASES if "hinton" in name]
    digits = [row for row in rows if row["op"].startswith("digits")]
    assert [row["op"] for row in digits[::2]] == [f"digits: {name}" for name in names]
    assert all(row["status"] == "pass" for row in digits)
    assert all(row["error"] <= RUN_WEIGHTS for row in digits[::2])
    (skipped,) = [row for row in rows if row["op"] == "mnist"]
    assert skipped["status"] == "skip"
    assert "MINIDROP_DATA" in skipped["message"]
    assert (tmp_path / "parity-digits.png").read_bytes()[:4] == b"\x89PNG"
    lines = [line for line in capsys.readouterr().out.splitlines() if str(tmp_path) not in line]
    assert 60 < max(map(len, lines)) <= 100


@pytest.mark.usefixtures("without_mnist")
def test_a_wrong_update_fails_and_names_the_optimizer(tmp_path, monkeypatch, capsys):
    right = md.Adam.update

    def wrong(self, xp, w, g, lr, *slots):
        right(self, xp, w, g, lr * (1 + 1e-4), *slots)

    monkeypatch.setattr(md.Adam, "update", wrong)
    code, rows = run(tmp_path, "--filter", "adam", "--json")
    assert code == 1
    assert json.loads(capsys.readouterr().out)["rows"] == rows
    failed = {row["op"]: row["message"] for row in rows if row["status"] == "fail"}
    assert set(failed) == {"digits: adam", "digits: adamw"}  # adamax has an update of its own
    assert all("minidrop/optim/" in m or "test_reference_run.py" in m for m in failed.values())


def test_a_wrong_backward_pass_fails(monkeypatch):
    """One that nothing but a whole net shows is not needed: any will do."""
    right = NumpyBackend.relu_dropout_backward

    def wrong(self, dy, y, scale, workspace):
        right(self, dy, y, scale * (1 + 1e-6), workspace)

    monkeypatch.setattr(NumpyBackend, "relu_dropout_backward", wrong)
    (case,) = [case for case in runs.cases("digits", 0) if case.name == "sgd"]
    weights, _ = parity.compare(case, md.data.load("digits"), 5).rows()
    assert weights.status == "fail"


def test_nothing_to_run_is_exit_code_2(tmp_path, capsys):
    assert main(["run", "--filter", "no such", "--out", str(tmp_path)]) == 2
    assert "no such" in capsys.readouterr().err


def test_every_optimizer_has_a_run():
    names = {md.specs.parse(case["optimizer"])[0] for case in runs.CASES.values()}
    assert names == set(md.optim.OPTIMIZERS)


def test_the_limit_binds_and_masks_are_shared():
    """Guard of the runs: without projection, or with other masks, they would prove less."""
    (case,) = [case for case in runs.cases("digits", 0) if case.name == "hinton"]
    pair = runs.train(case.config, md.data.load("digits"), 3)
    longest = np.sqrt(np.square(pair.weights["1.weight"]).sum(axis=1)).max()
    assert longest == pytest.approx(np.sqrt(case.config.limit), rel=FLOAT32_ROUNDING)
    np.testing.assert_allclose(pair.losses, pair.torch_losses, rtol=FLOAT32_ROUNDING)


def test_the_bound_grows_from_the_first_window_on():
    double = np.ones(100)
    single = np.array([double, double])
    single[1, 10], single[0, 80] = 1.5, 3.0
    bound = parity.rounding_bound(single, double)
    assert set(bound[:80]) == {4 * 0.5}
    assert set(bound[80:]) == {4 * 2.0}
    floor = parity.rounding_bound(single[:, 60:70], double[60:70])
    assert set(floor) == {4 * 2.0**-24}
