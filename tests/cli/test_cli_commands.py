"""`minidrop eval`, `info` and `data`."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from cli_helpers import SMALL, refused

import minidrop as md
from minidrop import backends


def test_eval_repeats_the_result(minidrop):
    _, out, _ = minidrop("train", *SMALL, "--run", "run")
    status, again, _ = minidrop("eval", "run")
    assert status == 0
    assert again.splitlines()[-1] == out.splitlines()[-1]
    refused(minidrop("eval", "run", "--part", "validation"), "the run has no validation examples")
    refused(minidrop("eval", "run", "--part", "all"), "part must be one of train, validation, test")
    refused(minidrop("eval", "nowhere"), "there is no run in nowhere")


def test_the_version(minidrop):
    assert minidrop("--version") == (0, f"minidrop {md.__version__}\n", "")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_terminal_without_the_signs_gets_question_marks(tmp_path, encoding):
    ended = subprocess.run(
        [sys.executable, "-m", "minidrop", "reproduce", "ravine", "--quick", "--out", str(tmp_path / "out")],
        env=os.environ | {"PYTHONIOENCODING": encoding, "COLUMNS": "100"},
        capture_output=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"w?" in ended.stdout  # w₂
    assert b"report: " in ended.stdout


def test_info_shows_what_a_bug_report_needs(minidrop, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    status, out, _ = minidrop("info")
    assert status == 0
    assert ".[cuda12]" in out or "ready" in out.split("backend cupy")[1]
    for word in ("python", np.__version__, "blas", "threads", "backend numpy", "backend cupy"):
        assert word in out


@pytest.mark.parametrize(
    ("chosen", "shown"), [("", "numpy"), ("numba", "numba"), ("tpu", "unknown backend 'tpu': choose one of")]
)
def test_info_shows_the_backend_that_is_chosen(minidrop, monkeypatch, chosen, shown):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("MINIDROP_BACKEND", chosen)
    monkeypatch.setattr(backends, "_current", None)
    status, out, _ = minidrop("info")
    assert status == 0
    assert re.search(rf"backend\s+│ {shown}", out)


def test_data_list(minidrop, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    status, out, _ = minidrop("data", "list", "--data-dir", ".")
    assert status == 0
    assert re.search(r"digits\s+│\s+1437\s+│\s+360\s+│\s+64\s", out)
    assert re.search(r"^fashion-mnist: .*minidrop data fetch fashion-mnist", out, re.MULTILINE)


def test_no_command_shows_the_help(minidrop):
    for words in ((), ("data",)):
        status, out, err = minidrop(*words)
        assert "Usage" in out
        assert (status, err) == (2, "")


def test_a_wrong_command(minidrop):
    refused(minidrop("tarin"), "tarin")
    refused(minidrop("data", "fetch", "cifar"), "cifar")
