"""The table in-process: every row passes, and every layer, loss, optimizer and initializer has rows."""

import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="the reference is written in PyTorch, which is not installed")

from tolerances import FLOAT64_ROUNDING

import minidrop as md
from minidrop.backends import get_backend
from minidrop.optim.schedules import SCHEDULES
from reference import checks, data
from reference.__main__ import main
from reference.checks.rows import Row, difference, where
from reference.models import mlp
from reference.precision import default_dtype
from reference.report import to_json


def rows(dtype: str, seed: int = 0, text: str = "") -> list[Row]:
    with default_dtype(dtype):
        return list(checks.rows(checks.Setting(get_backend("numpy"), dtype, seed), text))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_row_passes(dtype, monkeypatch, tmp_path):
    if dtype == "float32":  # the files take the longest; once is enough here
        monkeypatch.setenv("MINIDROP_DATA", str(tmp_path))
    found = rows(dtype)
    assert [r.message for r in found if r.status == "fail"] == []
    assert all(r.message for r in found if r.status == "skip")
    assert {r.op.split()[0] for r in found if r.status == "skip"} <= {"data"}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_other_seeds_pass_too(dtype):
    for seed in (1, 2**63):
        assert [r.message for r in rows(dtype, seed, "Dropout") if r.status != "pass"] == []
        assert [r.message for r in rows(dtype, seed, "Linear") if r.status != "pass"] == []


def test_everything_public_has_rows():
    setting = checks.Setting(get_backend("numpy"), "float64", 0)
    ops = [check.op for check in checks.all_checks(setting)]
    layers = {name for name in md.layers.__all__ if name not in ("Layer", "StochasticLayer")}
    optimizers = {cls.__name__ for cls in md.optim.OPTIMIZERS.values()}
    initializers = {cls.__name__ for cls in md.initializers.INITIALIZERS.values()} | {"Scaled"}
    firsts = {op.replace(",", "").split()[0] for op in ops}
    assert layers | optimizers | initializers | {"SoftmaxCrossEntropy", "MaxNorm"} <= firsts
    assert {f"schedule {name}" for name in SCHEDULES} <= set(ops)
    assert {f"data {name}" for name in data.CLASSES} <= set(ops)
    assert all(check.source is not None for check in checks.all_checks(setting))


def test_json_is_json_and_the_exit_code_is_zero(capsys):
    assert main(["--json", "--filter", "Linear", "--dtype", "float32", "--seed", "5"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["backend"], found["dtype"], found["seed"]) == ("numpy", "float32", 5)
    assert {"op", "check", "status", "error", "tolerance", "message"} == set(found["rows"][0])
    assert {row["check"] for row in found["rows"]} >= {"forward", "input gradient", "dweight", "dbias"}


def test_an_error_without_a_number_is_null():
    text = to_json([Row("op", "check", "fail", float("inf"), 1e-9, "why")])
    assert json.loads(text)["rows"][0]["error"] is None


def test_the_table_fits_and_lists_every_op(capsys):
    assert main(["--filter", "schedule"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 100
    assert "5 rows: 5 pass, 0 fail, 0 skipped" in out


def test_data_that_is_absent_is_skipped_with_the_reason(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIDROP_DATA", str(tmp_path))
    found = rows("float64", text="data")
    assert [r.status for r in found] == ["skip", "skip"]
    assert all("MINIDROP_DATA" in r.message or "not installed" in r.message for r in found)


def _loads() -> bool:
    try:
        data.torchvision()
    except ImportError:
        return False
    return True


def test_absent_torchvision_is_skipped_with_the_reason(monkeypatch):
    def absent():
        raise ImportError("No module named 'torchvision'")

    monkeypatch.setattr(checks.data, "torchvision", absent)
    found = rows("float64", text="data")
    assert [r.status for r in found] == ["skip", "skip"]
    assert all("torchvision is not installed" in r.message for r in found)


def test_difference_is_relative_to_the_value_or_to_the_size_of_the_array():
    assert difference(np.array([1.0, 2.0]), np.array([1.0, 2.0]))[0] == 0
    error, detail = difference(np.array([3.0, 1e-9]), np.array([3.0, 0.0]))
    assert error == pytest.approx(1e-9 / np.sqrt(4.5), rel=FLOAT64_ROUNDING)
    assert detail == "[1] expected 0, got 1e-09"
    assert difference(np.array([np.nan]), np.array([1.0]))[0] == np.inf
    assert difference(np.zeros(2), np.zeros(3))[0] == np.inf
    assert difference(np.zeros(2, np.float32), np.zeros(2))[1].startswith("expected float64")


def test_where_names_file_and_line():
    assert where(md.Linear.backward).startswith("minidrop/layers/linear.py:")
    assert where(md.Linear.backward).endswith("(Linear.backward)")
    assert where(len) == "len"


def test_mlp_has_minidrops_names():
    config = md.config.TrainConfig(layers="4-3-2", dropout="0.5")
    names = list(md.building.build_model(config).parameters())
    assert names == [name for name, _ in mlp(config).named_parameters()]
