"""What a run shows while it runs, and the figure that it leaves."""

import io
import re

import pytest
from rich.console import Console

from minidrop.errors import CheckpointError
from minidrop.plots import plot_history
from minidrop.progress import Bar, Lines, describe, make_reporter, silent

ROW = {
    "epoch": 2,
    "learning_rate": 0.1,
    "momentum": None,
    "train_loss": 0.5,
    "validation_loss": 0.4,
    "validation_error": 12.0,
    "test_loss": None,
    "test_error": None,
    "largest_row_norm": 1.5,
}


def test_an_epoch_in_one_line():
    assert describe(ROW) == "epoch 2  train loss 0.5000  validation error 12.00 %"


def test_lines_print_each_epoch_with_its_time(capsys):
    with Lines().running(0, 3, 10) as report:
        report.batch(1, 0.7)
        report.epoch(ROW)
    assert re.fullmatch(
        r"epoch 2  train loss 0\.5000  validation error 12\.00 %  \d+\.\d s\n", capsys.readouterr().out
    )


def test_the_bar_moves_with_batches_and_names_the_newest_epoch(monkeypatch):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, color_system=None, width=120)
    monkeypatch.setattr("rich.progress.get_console", lambda: console)
    with Bar().running(1, 4, 2) as report:
        report.batch(1, 0.7)
        report.batch(2, 0.7)
        report.epoch(ROW)
    assert "2/4 epochs" in screen.getvalue()
    assert "epoch 2  train loss 0.5000" in screen.getvalue()


def test_lines_where_the_output_is_no_terminal(capsys):
    assert isinstance(make_reporter(), Lines)


def test_silence(capsys):
    with silent.running(0, 1, 1) as report:
        report.batch(1, 0.7)
        report.epoch(ROW)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("rows", [[ROW], [{**ROW, "momentum": 0.5}, {**ROW, "epoch": 3, "momentum": 0.6}]])
def test_the_figure_shows_what_there_is(tmp_path, monkeypatch, rows):
    from matplotlib.figure import Figure

    drawn = []
    monkeypatch.setattr(
        Figure, "savefig", lambda self, path, **_: (drawn.append(self), path.write_bytes(b"x"))
    )
    plot_history(rows, tmp_path / "curves.png", title="a run", limit=2.0)
    (figure,) = drawn
    curves = {line.get_label(): line for axes in figure.axes for line in axes.get_lines()}
    expected = {"train (with its noise)", "validation", "learning rate", "largest row norm", "limit 2"}
    expected |= {"momentum"} if rows[0]["momentum"] is not None else set()
    assert curves.keys() == expected
    assert list(curves["largest row norm"].get_ydata()) == [1.5] * len(rows)
    assert figure.get_suptitle() == "a run"
    labels = {axes.get_ylabel() for axes in figure.axes}
    assert {"cross-entropy [nats]", "error [%]", "learning rate", "length of incoming weights"} <= labels


def test_a_figure_that_cannot_be_written(tmp_path):
    with pytest.raises(CheckpointError, match="cannot write"):
        plot_history([ROW], tmp_path / "nowhere" / "curves.png")


@pytest.mark.filterwarnings("error")
def test_a_run_without_evaluation_has_its_curves(tmp_path):
    row = ROW | dict.fromkeys([key for key in ROW if key.startswith(("validation", "test"))])
    plot_history([row], tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 0
