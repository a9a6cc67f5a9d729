"""What a run leaves in its folder, and that a wrong number turns red."""

import csv
import json
import re
import shutil
import subprocess
from dataclasses import asdict, replace

import made_up
import pytest

from minidrop.experiments import Plan
from minidrop.experiments.reproduce import command, reproduce


def test_everything_that_was_found_is_in_the_folder(tmp_path):
    outcome = reproduce(made_up.squares(), Plan(), tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names >= {
        "results.json",
        "quantities.csv",
        "table-1.csv",
        "squares.png",
        "squares.svg",
        "report.html",
    }
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["experiment"] == "squares"
    assert results["plan"] == asdict(Plan())
    assert [(q["name"], q["verdict"]) for q in results["quantities"]] == [
        ("mean of the squares", "agrees"),
        ("2²", "agrees"),
    ]
    assert results["quantities"][0]["ours"] == [5 / 3, 2.0]
    assert [claim["verdict"] for claim in results["claims"]] == ["agrees", "agrees"]
    job = results["jobs"]["x=2"]
    assert (job["arguments"], job["result"]) == ({"x": 2, "fail": False}, {"square": 4})
    assert results["command"] == "minidrop reproduce squares"
    assert results["drawings"] == [{"name": "squares", "caption": "The squares & their <mean>."}]
    assert results["missing"] == []
    assert "numpy" in results["versions"]
    with open(tmp_path / "table-1.csv") as file:
        assert list(csv.reader(file)) == [["x", "x²"], ["0", "0"], ["1", "1"], ["2", "4"]]
    with open(tmp_path / "quantities.csv") as file:
        rows = list(csv.DictReader(file))
    assert (rows[1]["quantity"], rows[1]["published"], rows[1]["verdict"]) == ("2²", "4.0", "agrees")
    assert not outcome.broken


def test_jobs_of_before_they_kept_their_time_are_analysed_anew(tmp_path):
    """A training knows its own time; of what else an older version ran nothing is known."""
    reproduce(made_up.squares(), Plan(), tmp_path)
    for x, known in ((0, {}), (1, {"seconds": 7.0}), (2, {})):
        record = {"arguments": {"x": x, "fail": False}, "result": {"square": x * x} | known}
        (tmp_path / "jobs" / f"x={x}" / "result.json").write_text(json.dumps(record))
    reproduce(made_up.squares(), Plan(), tmp_path)
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["seconds"] == 7.0
    assert [job["commit"] for job in results["jobs"].values()] == [None] * 3


def test_the_command_has_what_changes_the_numbers():
    plan = Plan(quick=True, seeds=7, backend="numpy", data_dir="/here")
    expected = "minidrop reproduce squares --quick --seeds 7 --backend numpy"
    assert command(made_up.squares(), plan) == expected
    swept = replace(made_up.squares(), command="minidrop sweep study.toml")
    assert command(swept, replace(plan, quick=False)) == "minidrop sweep study.toml --seeds 7 --backend numpy"


def test_a_wrong_exact_number_is_red_and_fails(tmp_path):
    outcome = reproduce(made_up.squares(published=4.1), Plan(quick=True), tmp_path)
    assert outcome.broken
    assert '<td class="differs">differs</td>' in (tmp_path / "report.html").read_text()


def test_a_quick_run_judges_only_what_must_be_exact(tmp_path):
    reproduce(made_up.squares(), Plan(quick=True), tmp_path)
    results = json.loads((tmp_path / "results.json").read_text())
    assert [q["verdict"] for q in results["quantities"]] == ["not judged", "agrees"]
    assert [claim["verdict"] for claim in results["claims"]] == ["open", "agrees"]
    assert "A quick run" in (tmp_path / "report.html").read_text()


def test_the_page_is_self_contained_and_escaped(tmp_path):
    reproduce(made_up.squares(), Plan(), tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "Are squares &lt;square&gt;?" in page
    assert "The squares &amp; their &lt;mean&gt;." in page
    assert page.count("data:image/png;base64,") == 1
    assert not re.search(r'(src|href)="(?!data:)', page)
    published, own = page.partition('id="checks"')[::2]
    assert "mean of the squares" in published.partition('id="quantities"')[2]
    assert re.search(r"expected(.|\n)*2²", own)
    assert "minidrop reproduce squares" in page


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_in_a_browser(tmp_path, width):
    """At the width of a desktop and of a phone: its tables and figures are there, and nothing sticks out."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium: install Debian's package chromium")
    reproduce(made_up.squares(), Plan(), tmp_path)
    page = tmp_path / "report.html"
    script = (
        "<script>document.title = JSON.stringify({tables: document.querySelectorAll('table').length, "
        "figures: [...document.images].filter(i => i.naturalWidth > 0).length, "
        "wide: document.documentElement.scrollWidth > window.innerWidth})</script>"
    )
    page.write_text(page.read_text().replace("</body>", f"{script}</body>"))
    quiet = ("background-networking", "component-update", "sync", "quic", "gpu")
    command = [chromium, "--headless", "--no-sandbox", "--no-first-run"]
    command += [f"--disable-{what}" for what in quiet]
    command += [
        f"--window-size={width},900",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--dump-dom",
        page.as_uri(),
    ]
    dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    title = re.search(r"<title>(.*?)</title>", dom)[1].replace("&quot;", '"')
    assert json.loads(title) == {"tables": 5, "figures": 1, "wide": False}
