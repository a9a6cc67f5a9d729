"""The pages of docs/results say what their results.json says, and nothing else."""

import json
import re
import shutil

import pytest
import tolerances
from docs_helpers import changed

from docs import again, found, machines, pages, tables, words
from docs.found import Found
from docs.taking import restore
from minidrop.errors import ExperimentError
from minidrop.experiments import NAMES, Plan, experiment
from minidrop.experiments.reproduce import json_text, said
from minidrop.experiments.runner import finished

FOLDERS = pages.folders(pages.RESULTS)
#: those of more than one job
SEVERAL = [
    folder for folder in FOLDERS if len(json.loads((folder / "results.json").read_text("utf-8"))["jobs"]) > 1
]


def checked(results):
    """Every page and the index are what would be written now."""
    for folder in pages.folders(results):
        assert (folder / "README.md").read_text(encoding="utf-8") == pages.page(folder)
    assert (results / "README.md").read_text(encoding="utf-8") == pages.index(results)


# -- the pages that are there ------------------------------------------------------------------------------


def test_every_page_says_what_its_results_say():
    """If this fails: python -m docs refresh."""
    checked(pages.RESULTS)


def test_there_is_nothing_else_in_the_results():
    assert FOLDERS
    there = {path.name for path in pages.RESULTS.iterdir()}
    assert there == {"README.md", *(folder.name for folder in FOLDERS)}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_page_is_a_screen_long_with_all_that_it_must_have(folder):
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert len(text.partition("<details>")[0].splitlines()) <= 55  # more figures are folded up
    assert experiment(folder.name).question in " ".join(text.split())
    assert_two_sentences(text)
    assert f"`minidrop reproduce {folder.name}" in text
    assert re.search(r"at commit [0-9a-f]{7}", " ".join(text.split()))
    assert "**What would change it.** " in text
    drawn = set(re.findall(r"\]\(([^)]+\.png)\)", text))
    assert drawn == {path.name for path in folder.glob("*.png")}
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (folder / link).exists() or (pages.RESULTS / link[3:]).parent.name in NAMES


def assert_two_sentences(text):
    answer = text[text.index("?**") :].split("\n\n")[1]
    assert len(re.findall(r"[.!?](?=\s+[A-Z]|$)", answer)) in (1, 2)
    assert len(answer.split()) <= 120
    assert not re.search(r"\b(None|True|False|no clearly)\b|  |[,.;:] ?[,.;:]", answer)


@pytest.mark.parametrize("holds", [True, False, None])
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_an_answer_can_be_given_whatever_comes_of_the_claims(folder, holds):
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    for claim in results["claims"]:
        if not claim["exact"]:
            claim["holds"] = holds
            claim["detail"] = claim["detail"].replace("+", "-") if holds is False else claim["detail"]
    assert_two_sentences(pages.render(results, 0))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_results_are_of_full_runs_and_name_no_path(folder):
    text = (folder / "results.json").read_text(encoding="utf-8")
    results = json.loads(text)
    assert results["experiment"] == folder.name
    assert not results["plan"]["quick"]
    assert not results["failed"]
    assert not re.search(r'"/(home|tmp|work|root)', text)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_what_a_page_says_is_what_the_jobs_say_by_the_analysis_of_now(folder, tmp_path):
    """If this fails: python -m docs restore NAME, minidrop reproduce NAME, python -m docs add."""
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    this, plan = experiment(folder.name), Plan(**results["plan"])
    restore(folder.name, tmp_path)
    jobs = this.jobs(plan)
    records = finished(jobs, tmp_path)
    assert [job.key for job in jobs if job.key not in records] == results["missing"]
    assert set(results["jobs"]) == {job.key for job in jobs}
    found = said(this.analyse(plan, {key: record["result"] for key, record in records.items()}))
    assert_same(json.loads(json_text(found)), {key: results[key] for key in found})


@pytest.mark.parametrize("kept", [slice(0, 1), slice(0, None, 2), slice(1, None, 2)], ids=str)
@pytest.mark.parametrize("folder", SEVERAL, ids=lambda folder: folder.name)
def test_what_has_been_run_in_part_can_be_written_down(folder, kept):
    """Whichever jobs have been run: the first, or every second one."""
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    results["missing"] = [key for key in results["jobs"] if key not in list(results["jobs"])[kept]]
    for key in results["missing"]:
        results["jobs"][key]["result"] = None
    ran = {key: record["result"] for key, record in results["jobs"].items() if record["result"] is not None}
    results |= json.loads(json_text(said(experiment(folder.name).analyse(Plan(**results["plan"]), ran))))
    text = " ".join(pages.render(results, 0).split())
    assert f"**Not all of it has been run**: {results['missing'][0]}" in text


def assert_same(found, expected):
    """Numbers to rounding, everything else as it is."""
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=tolerances.REORDERED, abs=tolerances.REORDERED)
    else:
        assert found == expected


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_has_no_measured_number_typed_by_hand(name):
    """What is not between the braces of a template names things: no decimals, no percents, no intervals."""
    path = f"answers/{name}.md.j2"
    source = (pages.HERE / path).read_text(encoding="utf-8")
    plain = "".join(text for _, kind, text in pages.environment().lex(source) if kind == "data")
    plain += "".join(re.findall(r'"([^"]*)"', "".join(re.findall(r"told\(.*?\)\s*}}", source, re.DOTALL))))
    assert not re.findall(r"\d+[.,]\d+|\d+ ?%|±|\d{4}", plain.replace(name, ""))


# -- what is noticed ---------------------------------------------------------------------------------------


def test_an_edited_number_is_noticed(results):
    page = results / "ravine" / "README.md"
    text = page.read_text(encoding="utf-8")
    shown = list(re.finditer(r"\d+\.\d+", text))
    assert len(shown) > 10
    for one in shown[::4]:
        at = one.end() - 1
        page.write_text(text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :], encoding="utf-8")
        with pytest.raises(AssertionError):
            checked(results)


def test_a_new_result_is_noticed_on_its_page_and_in_the_index(results):
    def other(values):
        values["quantities"][0]["ours"] = [2.0, 2.0]

    checked(results)
    changed(results / "ravine", other)
    with pytest.raises(AssertionError):
        checked(results)
    before = (results / "README.md").read_text(encoding="utf-8")
    pages.write(results)
    checked(results)
    assert before != (results / "README.md").read_text(encoding="utf-8")


def test_a_number_that_is_not_there_is_refused(results):
    changed(results / "ravine", lambda values: values["quantities"].pop(0))
    with pytest.raises(ExperimentError, match="ravine has no quantity 'SGD: w₂'"):
        pages.page(results / "ravine")


def test_a_published_number_that_differs_wants_a_reason(results, monkeypatch):
    def wrong(values):
        values["quantities"][0]["ours"] = [5.0]
        values["quantities"][0]["verdict"] = "differs"

    changed(results / "golden-dropout", wrong)
    text = pages.page(results / "golden-dropout")
    assert "| 2.3094 | 5.0000 | differs |" in text
    assert "Not all of them: " in text
    assert "**Where ours and the published numbers part.** The mask is given" in text
    assert "2 of 3 published, 1 differs; 1 of 1 claim; 1 of 1 own check" in " ".join(
        pages.index(results).split()
    )
    folder = results.parent / "docs"
    shutil.copytree(pages.HERE, folder, ignore=shutil.ignore_patterns("results"))
    answer = folder / "answers" / "golden-dropout.md.j2"
    answer.write_text(answer.read_text(encoding="utf-8").partition("{% block apart %}")[0], encoding="utf-8")
    monkeypatch.setattr(pages, "HERE", folder)
    with pytest.raises(ExperimentError, match=r"must say, in a block apart, why gradient where 3 .* differs"):
        pages.page(results / "golden-dropout")


# -- the parts ---------------------------------------------------------------------------------------------


def test_names_must_be_of_one_thing():
    table = {"title": "T", "columns": ["a", "b"], "rows": [[1, 2], [3, 4]]}
    claims = [{"text": text, "holds": True} for text in ("one", "one more", "other")]
    some = Found({"experiment": "e", "claims": claims, "tables": [table], "jobs": {}, "quantities": []})
    assert some.claim("one").text == "one"
    assert some.row("T", 3) == {"a": 3, "b": 4}
    for wrong in (
        lambda: some.claim("o"),
        lambda: some.q("x"),
        lambda: some.row("T", 2),
        lambda: some.rows("U"),
        lambda: some.job("j"),
        lambda: some.choose("x"),
    ):
        with pytest.raises(ExperimentError):
            wrong()


def test_doctests_of_docs():
    import doctest

    for module in (again, found, machines, tables, words):
        tried = doctest.testmod(module)
        assert tried.attempted
        assert not tried.failed
