"""Runs in part: what their pages say, and how they are gone on with."""

import json
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch

import pytest
from docs_helpers import changed

from docs import pages, taking
from docs.machines import together
from minidrop.errors import CheckpointError, ExperimentError
from minidrop.experiments import Plan, experiment
from minidrop.experiments.reproduce import reproduce
from minidrop.versions import in_short


def test_a_run_in_part_says_what_is_missing(results, run):
    text = pages.page(taking.take(run, results))
    assert "**Not all of it has been run**: x=2 is missing; `python" in text
    assert text.splitlines()[6].startswith("1.25")  # of 0.5, the mean of what has run, and 2


def test_a_run_in_part_that_has_no_answer_yet_says_what_is_left_and_how(results, run, answer):
    answer.write_text('{% extends "page.md.j2" %}{% block answer %}{{ q("2²").text() }}{% endblock %}')
    text = " ".join(pages.page(taking.take(run, results)).split())
    assert "Not answered yet: 1 of 3 jobs are still to be run. **Not all of it has been run**: x=2 is" in text
    assert "x=2 is missing; `python -m docs restore golden-dropout` makes a folder to go on in" in text
    assert "| mean of the squares | 1.5 | 1.2500" in text
    shutil.rmtree(results / "ravine")
    assert "| Not answered yet: 1 of 3 jobs are still to be run. | " in pages.index(results)


def test_a_run_in_part_takes_no_finished_job_away(results, run):
    folder = taking.take(run, results)
    before = (folder / "results.json").read_bytes()

    def other_part(values):
        values["missing"].append("x=1")
        values["jobs"]["x=1"]["result"] = None

    changed(run, other_part)
    expected = (
        f"{run} lacks 1 job of the page that is there (x=1): `python -m docs restore golden-dropout {run}`"
    )
    with pytest.raises(ExperimentError, match=re.escape(expected)):
        taking.take(run, results)
    assert (folder / "results.json").read_bytes() == before


def test_a_run_is_restored_from_its_page_and_goes_on_elsewhere(results, tmp_path):
    """Of two jobs that are missing one is run; the other's own record in the folder is kept."""
    folder, this = tmp_path / "run", experiment("ravine")
    first, second, *others = (job.key for job in this.jobs(Plan()))

    def without(values):
        values["jobs"][first]["result"] = None
        for key in others:
            values["jobs"][key]["machine"] = "another machine"

    page = (results / "ravine" / "results.json").read_text(encoding="utf-8")
    changed(results / "ravine", without)
    command = f"minidrop reproduce ravine --out {folder}"
    assert taking.restore("ravine", folder, results) == ([second, *others], command)
    assert taking.restore("ravine", folder, results) == ([], command)
    told = []
    reproduce(this, Plan(data_dir="/elsewhere"), folder, told=lambda key, *_: told.append(key))
    assert told == [second, *others, first]
    taken = json.loads((taking.take(folder, tmp_path / "new") / "results.json").read_text(encoding="utf-8"))
    before = json.loads(page)
    assert taken["missing"] == []
    assert taken["jobs"][second]["result"] == before["jobs"][second]["result"]
    assert taken["jobs"][second]["machine"] == in_short(before["versions"])
    assert {taken["jobs"][key]["machine"] for key in others} == {"another machine"}
    assert taken["jobs"][first]["machine"] == in_short()
    text = " ".join(pages.page(tmp_path / "new" / "ravine").split())
    on = together(["another machine", in_short(), in_short(before["versions"])])
    assert f"at commit {', '.join(sorted({job['commit'] for job in taken['jobs'].values()}))}, on " in text
    assert f", on {', and on '.join(on)}. Every number" in text


def test_only_a_page_can_be_restored_and_not_into_another_run(results, tmp_path):
    with pytest.raises(ExperimentError, match=r"'wide-nets' has no page; .* are golden-dropout, ravine"):
        taking.restore("wide-nets", tmp_path / "run", results)
    assert not (tmp_path / "run").exists()
    taking.restore("ravine", tmp_path / "run", results)
    with pytest.raises(CheckpointError, match="holds a run with experiment ravine, not golden-dropout"):
        taking.restore("golden-dropout", tmp_path / "run", results)


@pytest.mark.parametrize("only", ["relu-*", "relu-none-*", "logistic-[sb]*", "published-both-seed-0"])
def test_hintons_nets_have_a_page_when_only_some_of_them_are_trained(only, tmp_path):
    """Trainings that are made up stand for finished ones, so that nothing but the analysis runs."""
    this, plan, folder = experiment("hinton-mnist"), Plan(data_dir="/somewhere"), tmp_path / "run"
    jobs = [job for job in this.jobs(plan) if fnmatch(job.key, only)]
    for i, job in enumerate(jobs):
        history = [
            {"epoch": epoch, "test_errors": 130 + i - epoch, "train_loss": 0.1, "largest_row_norm": 3.0}
            for epoch in (1, 2)
        ]
        result = {"history": history, "test": {"size": 10000}, "diverged": None}
        record = {"arguments": job.arguments, "result": result, "seconds": 1.0, "commit": "abc1234"}
        (folder / "jobs" / job.key).mkdir(parents=True)
        (folder / "jobs" / job.key / "result.json").write_text(json.dumps(record))
    reproduce(this, plan, folder, only=only)
    text = " ".join(pages.page(taking.take(folder, tmp_path)).split())
    assert "**Not all of it has been run**: updates, " in text
    trained = {job.key.partition("-")[0] for job in jobs}
    rows = {"relu": "ReLU", "logistic": "logistic, learning rate 10", "published": "code of 000"}
    assert {reading for reading, row in rows.items() if f"| {row} | — | — | — |" not in text} == trained
    claims = re.findall(r"\| (\S[^|]*: dropout of [^|]* has fewer errors than [^|]*) \|", text)
    pairs = {"relu-*": 3, "logistic-[sb]*": 1}  # no claim on what is not there
    assert len(claims) == pairs.get(only, 0)
    outcomes = {
        "relu-*": "-1.0 ± 0.0 after 2 epochs; never lower for good | differs |",
        "logistic-[sb]*": "1 | +1.0 ± 0.0 after 2 epochs; lower in 95 % of the epochs from 1 on | agrees |",
    }
    if only in outcomes:
        assert outcomes[only] in text
    assert re.search(r"published not judged; .*; \d+ jobs missing", pages.index(tmp_path))
    errors = "the test errors of 10000 after 2 epochs"
    answers = {
        "relu-*": f"raises {errors} with ReLU units (133.0 ± 7.5 against 131.0 ± 7.5)",
        "logistic-[sb]*": f"{errors} with logistic units (130.0 ± 5.0 against 131.0 ± 5.0 at learning rate",
        "relu-none-*": "No dropout can be compared with none yet.",
        "published-both-seed-0": "| code of 000 | — | — | 128.0 |",
    }
    assert answers[only] in text
    assert f"{'seed 0' if len(jobs) == 1 else 'seeds 0 to 2'};" in text


def test_the_command_says_how_many_jobs_are_back(tmp_path):
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "docs", "restore", "ravine", str(folder)]
    done = [
        subprocess.run(command, cwd=pages.HERE.parent, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert [" ".join(text.split()) for text in done] == [
        f"{count} jobs put into {folder}; `minidrop reproduce ravine --out {folder}` runs what is left, "
        "and analyses all"
        for count in (7, 0)
    ]
