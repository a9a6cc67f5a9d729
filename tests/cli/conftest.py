"""The command line as a fixture."""

import sys

import pytest

from minidrop.cli import main


@pytest.fixture
def minidrop(monkeypatch, capsys, tmp_path):
    """Run the command line in an empty folder: minidrop("train", ...) -> (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINIDROP_DATA", raising=False)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["minidrop", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capsys.readouterr()
        return stopped.value.code, out, err

    return run
