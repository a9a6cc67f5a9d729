"""The command line: exit codes, and one line for what cannot be tried."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the reference is written in PyTorch, which is not installed")

import minidrop as md
from minidrop.backends import get_backend
from minidrop.errors import BackendError
from reference.__main__ import NO_TORCH, main

ROOT = Path(__file__).parents[2]


def test_missing_torch_is_one_line_and_exit_code_2():
    code = "import sys; sys.modules['torch'] = None; from reference.__main__ import main; sys.exit(main([]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", NO_TORCH + "\n")


def test_as_a_module_it_exits_with_its_code():
    command = [sys.executable, "-m", "reference", "--filter", "schedule"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr == ""


def test_a_failing_row_is_exit_code_1(monkeypatch, capsys):
    monkeypatch.setattr(md.Identity, "backward", lambda self, dy: -dy)
    assert main(["--filter", "Identity"]) == 1
    assert "fail: Identity, input gradient" in capsys.readouterr().out


def test_no_row_is_exit_code_2(capsys):
    assert main(["--filter", "no such op"]) == 2
    assert capsys.readouterr().err == "no op contains 'no such op'\n"


@pytest.mark.parametrize("wrong", [["--dtype", "float16"], ["--backend", "jax"], ["--seed", "x"], ["walk"]])
def test_wrong_options_are_exit_code_2(wrong, capsys):
    with pytest.raises(SystemExit) as stop:
        main(wrong)
    assert stop.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--seed", "-1"], ["run", "--steps", "0"]])
def test_numbers_out_of_range_are_one_line_and_exit_code_2(wrong, capsys):
    assert main(wrong) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("command", [[], ["run"]])
def test_a_backend_that_is_not_there_is_one_line_and_exit_code_2(command, capsys):
    try:
        get_backend("cupy")
    except BackendError:
        assert main([*command, "--backend", "cupy"]) == 2
        assert capsys.readouterr().err.startswith("backend cupy: ")
        return
    pytest.skip("CuPy finds a device here")


def test_options_before_run_count(capsys):
    assert main(["--filter", "no such", "run"]) == 2
    assert "no run contains 'no such'" in capsys.readouterr().err
