"""Everything that is measured runs, in small."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import harness
from benchmarks.__main__ import NAMES
from benchmarks.results import RESULTS

ROOT = Path(__file__).parents[2]


def files(folder):
    """What is in a folder, by name, and when it was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*")}


def test_all_of_it_runs_and_nothing_is_written():
    before = files(RESULTS)
    run = [sys.executable, "-m", "benchmarks", "all", "--quick"]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    for name in NAMES:
        assert f"\n{name}: " in f"\n{done.stdout}"
    assert "written" not in done.stdout
    assert files(RESULTS) == before


@pytest.mark.parametrize("name", ["scaling", "dropout"])
def test_whoever_is_not_installed_is_left_out_and_what_is_written_is_a_result_and_a_figure(
    name, monkeypatch, capfd, tmp_path
):
    monkeypatch.setattr(harness, "find_spec", lambda module: None)
    monkeypatch.chdir(ROOT)
    command.main(name, quick=True, rounds=1, seconds=0.001, threads=0, out=tmp_path)
    out = capfd.readouterr().out
    assert f"{name}: " in out
    assert "minidrop" in out
    assert "needs torch" in out
    assert "written" in out
    assert set(files(tmp_path)) == {f"{name}.json", f"{name}.png"}
