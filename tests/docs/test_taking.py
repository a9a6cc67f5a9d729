"""What `python -m docs add` takes, and what it refuses without a change."""

import json
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch

import made_up
import pytest
from docs_helpers import changed

from docs import pages, taking
from minidrop.errors import CheckpointError, ExperimentError
from minidrop.experiments import Plan, experiment
from minidrop.experiments.reproduce import reproduce
from minidrop.versions import in_short


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run that is made up, under the name of an experiment of the documents; two of three jobs have run."""
    folder = tmp_path_factory.mktemp("made")
    reproduce(made_up.squares(), Plan(data_dir="/somewhere"), folder, only="x=[01]")
    changed(folder, lambda values: values.update(experiment="golden-dropout"))
    return folder


@pytest.fixture
def answer(tmp_path, monkeypatch):
    """The answer's template of the run that is made up."""
    (tmp_path / "docs" / "answers").mkdir(parents=True)
    for shared in pages.HERE.glob("*.md.j2"):
        shutil.copy(shared, tmp_path / "docs")
    monkeypatch.setattr(pages, "HERE", tmp_path / "docs")
    path = tmp_path / "docs" / "answers" / "golden-dropout.md.j2"
    path.write_text('{% extends "page.md.j2" %}{% block answer %}{{ q("mean of").text() }}{% endblock %}')
    return path


@pytest.fixture
def run(made, tmp_path, answer):
    """A copy of it that a test may change."""
    return shutil.copytree(made, tmp_path / "run")


def test_a_run_is_added_with_figures_and_without_where_the_data_were(results, run):
    old = results / "golden-dropout" / "old.png"
    old.touch()
    folder = taking.take(run, results)
    assert {path.name for path in folder.iterdir()} == {"README.md", "results.json", "squares.png"}
    assert "somewhere" not in (folder / "results.json").read_text(encoding="utf-8")


def test_older_jobs_are_given_their_commit(results, run):
    def older(values):
        values["jobs"]["x=0"]["commit"] = "unknown"
        values["jobs"]["x=2"]["commit"] = None

    changed(run, older)
    folder = taking.take(run, results, commit="abc1234")
    jobs = json.loads((folder / "results.json").read_text(encoding="utf-8"))["jobs"]
    assert jobs["x=0"]["commit"] == jobs["x=2"]["commit"] == "abc1234"
    assert jobs["x=1"]["commit"] not in ("abc1234", None)


def test_a_run_in_part_says_what_is_missing(results, run):
    text = pages.page(taking.take(run, results))
    assert "**Not all of it has been run**: x=2 is missing." in text
    assert text.splitlines()[6].startswith("1.25")  # of 0.5, the mean of what has run, and 2


def test_a_run_in_part_that_has_no_answer_yet_says_what_is_left_and_how(results, run, answer):
    answer.write_text('{% extends "page.md.j2" %}{% block answer %}{{ q("2²").text() }}{% endblock %}')
    text = " ".join(pages.page(taking.take(run, results)).split())
    assert "Not answered yet: 1 of 3 jobs are still to be run. **Not all of it has been run**: x=2 is" in text
    assert "`python -m docs restore golden-dropout` and the command below run them" in text
    assert "| mean of the squares | 1.5000 | 1.2500" in text
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
        values["jobs"] = {"x-seed-100": {"commit": None}}

    figures = {path: path.read_bytes() for path in folder.glob("*.png")}
    changed(run, other)
    taking.take(run, results, commit="abc1234")
    text = " ".join(pages.page(folder).split())
    assert (
        "**Run again** with other seeds by `minidrop reproduce squares --first-seed 100`, at commit abc1234: "
        "of 1 means 0 are inside the intervals above, and 0 no further from ours than"
    ) in text
    assert "With those seeds it is otherwise for mean of it, *differs*." in text
    assert {path: path.read_bytes() for path in folder.glob("*.png")} == figures
    # 1 ± 1.27 and 2.5 ± 0.64: inside neither's own, but two such means can be so far apart
    changed(run, lambda values: values["quantities"][0].update(ours=[2.35, 2.45], verdict="agrees"))
    taking.take(run, results)
    assert "0 are inside the intervals above, and 1 no further" in " ".join(pages.page(folder).split())


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
        ({"jobs": {"x-seed-100": {"commit": None}}}, "has run with these seeds already: x-seed-100"),
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
    assert taking.restore("ravine", folder, results) == [second, *others]
    assert taking.restore("ravine", folder, results) == []
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
    on = sorted({"another machine", in_short(), in_short(before["versions"])})
    assert f"at commit {', '.join(sorted({job['commit'] for job in taken['jobs'].values()}))}, on " in text
    assert f", on {', and on '.join(on)}. Every number" in text


def test_only_a_page_can_be_restored_and_not_into_another_run(results, tmp_path):
    with pytest.raises(ExperimentError, match=r"'wide-nets' has no page; .* are golden-dropout, ravine"):
        taking.restore("wide-nets", tmp_path / "run", results)
    assert not (tmp_path / "run").exists()
    taking.restore("ravine", tmp_path / "run", results)
    with pytest.raises(CheckpointError, match="holds a run with experiment ravine, not golden-dropout"):
        taking.restore("golden-dropout", tmp_path / "run", results)


@pytest.mark.parametrize("only", ["relu-*", "relu-none-*", "logistic-[nb]*", "published-both-seed-0"])
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
    begins = {
        "relu": "With ReLU units",
        "logistic": "With logistic units",
        "published": "As document 000's code",
    }
    assert {reading for reading, begin in begins.items() if begin in text} == trained
    claims = re.findall(r"\| (\S[^|]*: dropout of [^|]* has fewer errors than [^|]*) \|", text)
    pairs = {"relu-*": 3, "logistic-[nb]*": 1}  # no claim on what is not there
    assert len(claims) == pairs.get(only, 0)
    if claims:
        assert "by -1.0 ± 0.0 after 2 epochs; not to the end on average | differs |" in text
    assert re.search(r"published not judged; .*; \d+ jobs missing", pages.index(tmp_path))
    ends = {"relu-none-*": "129.0 ± 2.5 (no dropout)", "published-both-seed-0": "128.0 (hidden + input)"}
    assert ends.get(only, "") in text
    assert f"{'seed 0' if len(jobs) == 1 else 'seeds 0 to 2'};" in text


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
