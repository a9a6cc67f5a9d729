"""What `python -m docs add` takes, and what it refuses without a change."""

import json
import math
import re
import shutil
import subprocess
import sys

import pytest
from docs_helpers import changed

from docs import pages, taking
from docs.again import _chance, together_with
from minidrop.errors import ExperimentError
from minidrop.experiments import Plan, experiment
from minidrop.experiments.fashion import beside_a_run
from minidrop.experiments.verdicts import Quantity
from minidrop.intervals import inside


def test_a_run_is_added_with_figures_and_without_where_the_data_were(results, run):
    old = results / "golden-dropout" / "old.png"
    old.touch()
    folder = taking.take(run, results)
    assert {path.name for path in folder.iterdir()} == {"README.md", "results.json", "squares.png"}
    assert "somewhere" not in (folder / "results.json").read_text(encoding="utf-8")


def test_a_run_of_fewer_seeds_than_the_page_has_is_refused(results, tmp_path):
    shutil.copytree(pages.RESULTS / "dropout-pairs", tmp_path / "dropout-pairs")
    page = shutil.copytree(pages.RESULTS / "dropout-pairs", results / "dropout-pairs")
    keys = {job.key for job in experiment("dropout-pairs").jobs(Plan(seeds=2))}

    def fewer(values):
        values["plan"]["seeds"] = 2
        values["jobs"] = {key: record for key, record in values["jobs"].items() if key in keys}

    changed(tmp_path / "dropout-pairs", fewer)
    before = {path: path.read_bytes() for path in page.iterdir()}
    with pytest.raises(ExperimentError, match=r"lacks \d+ jobs of the page that is there"):
        taking.take(tmp_path / "dropout-pairs", results)
    assert {path: path.read_bytes() for path in page.iterdir()} == before


def test_older_jobs_are_given_their_commit(results, run):
    def older(values):
        values["jobs"]["x=0"]["commit"] = "unknown"
        values["jobs"]["x=2"] |= {"commit": None, "result": {"square": 4}}
        values["jobs"]["x=3"] = {"commit": None, "result": None}

    changed(run, older)
    folder = taking.take(run, results, commit="abc1234")
    jobs = json.loads((folder / "results.json").read_text(encoding="utf-8"))["jobs"]
    assert jobs["x=0"]["commit"] == jobs["x=2"]["commit"] == "abc1234"
    assert jobs["x=1"]["commit"] not in ("abc1234", None)
    assert jobs["x=3"]["commit"] is None, "it has not run"


def again(values, **changes):
    """A run with another first seed of what is made up: one quantity, a mean over two seeds."""
    one = {"name": "mean of it", "rule": "interval", "digits": 2, "published": 1.0, "tolerance": 0.0}
    one |= {"judge": True, "stated": False, "because": "", "verdict": "agrees", "ours": [0.9, 1.1]}
    values.update(quantities=[one | changes], missing=[])


def test_a_run_again_is_told_on_the_page_that_is_there(results, run):
    changed(run, again)
    folder = taking.take(run, results)
    assert "Run again" not in pages.page(folder)

    def other(values):
        again(values, ours=[3.0, 3.1], verdict="differs")
        values["plan"]["first_seed"] = 100
        values["command"] += " --first-seed 100"
        values["jobs"] = {"x-seed-100": {"commit": None, "result": {}}}

    figures = {path: path.read_bytes() for path in folder.glob("*.png")}
    changed(run, other)
    taking.take(run, results, commit="abc1234")
    text = " ".join(pages.page(folder).split())
    assert (
        "**Run again** with other seeds by `minidrop reproduce squares --first-seed 100`, at commit abc1234: "
        "of 1 means 0 are inside the intervals above (to be expected: 0.9), and 0 no further from ours than"
    ) in text
    assert "Another verdict: mean of it, *differs* with those, *agrees* with all." in text
    assert {path: path.read_bytes() for path in folder.glob("*.png")} == figures
    # 1 ± 1.27 and 2.5 ± 0.64: inside neither's own, but two such means can be so far apart
    changed(run, lambda values: values["quantities"][0].update(ours=[2.35, 2.45], verdict="agrees"))
    taking.take(run, results)
    assert "0 are inside the intervals above (to be expected: 0.9), and 1 no further" in " ".join(
        pages.page(folder).split()
    )


def test_both_samples_together_are_judged_as_one_that_large():
    """The interval of one more run is that of all runs, and the published number's rounding stays."""
    first, second, published = [0.84, 0.85, 0.86], [0.85, 0.86, 0.87, 0.88], 0.8
    both = beside_a_run("accuracy", first + second, published, decimals=2)
    found = together_with(
        beside_a_run("accuracy", first, published, decimals=2), Quantity("accuracy", second)
    )
    assert found.ours == both.ours
    assert found.tolerance == pytest.approx(both.tolerance)
    assert (found.verdict, both.verdict) == ("differs", "differs")
    few, many = Quantity("", [1.0, 2.0, 3.0, 4.0, 5.0]), Quantity("", [3.0] * 19 + [3.5])
    assert _chance(few, many) == pytest.approx(inside(2.7764 / math.sqrt(1 + 5 / 20), 4))
    assert _chance(few, many) > _chance(few, few)
    assert (
        together_with(Quantity("errors", [1.0, 2.0], 3.0, tolerance=0.5), Quantity("", [2.0])).tolerance
        == 0.5
    )


def test_a_page_that_is_renewed_keeps_what_a_run_again_found(results, run):
    changed(run, again)
    folder = taking.take(run, results)
    found = {"command": "again", "commits": [], "quantities": []}
    changed(folder, lambda values: values.update(again=found))
    taking.take(run, results)
    assert json.loads((folder / "results.json").read_text(encoding="utf-8"))["again"] == found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"jobs": {"x-seed-100": {"commit": None, "result": {}}}},
            "has run with these seeds already: x-seed-100",
        ),
        ({"missing": ["a", "b"], "jobs": {}}, "jobs are still to be run: a, b"),
        ({"experiment": "hinton-nets"}, "hinton-nets has no page yet: add a run with --first-seed 0 before"),
    ],
)
def test_what_is_no_other_sample_is_refused(change, message, results, run):
    changed(run, again)
    folder = taking.take(run, results)
    changed(folder, lambda values: values["jobs"].update({"x-seed-100": {"commit": "a"}}))
    changed(run, lambda values: (values["plan"].update(first_seed=100), values.update(change)))
    before = (folder / "results.json").read_bytes()
    with pytest.raises(ExperimentError, match=message):
        taking.take(run, results)
    assert (folder / "results.json").read_bytes() == before


def test_a_page_is_no_run_and_stays_as_it_was(results):
    before = {path: path.read_bytes() for path in results.rglob("*.*")}
    assert any(path.suffix == ".png" for path in before)
    for spelled in (results / "ravine", results / "golden-dropout" / ".." / "ravine"):
        with pytest.raises(ExperimentError, match="ravine is where its page is: add the run's own folder"):
            taking.take(spelled, results)
    assert {path: path.read_bytes() for path in results.rglob("*.*")} == before


def test_a_figure_that_is_missing_costs_none(results, run):
    before = {path: path.read_bytes() for path in results.rglob("*.*")}
    (run / "squares.png").unlink()
    with pytest.raises(
        ExperimentError, match=r"squares\.png is missing: `minidrop reproduce squares --out .*` draws"
    ):
        taking.take(run, results)
    assert {path: path.read_bytes() for path in results.rglob("*.*")} == before


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ('{{ q("no such").text() }}', "golden-dropout has no quantity 'no such'"),
        ('{{ row("All", 0)["y"] | number }}', "cannot be given: .*has no attribute 'y'"),
        ("{{ nothing }}", "golden-dropout cannot be given: 'nothing' is undefined"),
        ("{% if %}", "golden-dropout cannot be given: Expected an expression"),
    ],
)
def test_an_answer_that_cannot_be_given_leaves_everything_as_it_was(asked, message, results, run, answer):
    changed(run, lambda values: values.update(missing=[]))
    before = {path: path.read_bytes() for path in results.rglob("*.*")}
    answer.write_text(f'{{% extends "page.md.j2" %}}{{% block answer %}}{asked}{{% endblock %}}')
    with pytest.raises(ExperimentError, match=message):
        taking.take(run, results)
    answer.unlink()
    with pytest.raises(ExperimentError, match=r"write docs/answers/golden-dropout\.md\.j2"):
        taking.take(run, results)
    assert {path: path.read_bytes() for path in results.rglob("*.*")} == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values["plan"].update(quick=True), "at full size"),
        (lambda values: values.update(experiment="mine"), "at full size"),
        (lambda values: values["failed"].update(x="no"), "of which no job failed"),
        (lambda values: values.pop("drawings"), "analyses it anew"),
    ],
)
def test_what_is_no_full_run_is_refused(change, message, results, run):
    changed(run, change)
    with pytest.raises(ExperimentError, match=message):
        taking.take(run, results)


def test_the_command_refuses_in_one_line(tmp_path):
    command = [sys.executable, "-m", "docs", "add", str(tmp_path)]
    done = subprocess.run(command, cwd=pages.HERE.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert re.fullmatch(r"error: .* is no finished run of minidrop reproduce: .*\n", done.stderr)
