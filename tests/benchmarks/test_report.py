"""README's section on speed says what the results say, and nothing else."""

import json
import re
import shutil
from importlib import import_module

import pytest

from benchmarks import batch_vs_loop, gpu, report, report_parts
from benchmarks.results import RESULTS

PROVENANCE = {
    "processor": "A Processor",
    "processors_used": 2,
    "commit": "abc",
    "numpy": "2.0",
    "python": "3.11",
}
#: whose modules the report takes rows from
MODULES = {name: import_module(f"benchmarks.{name}") for name in report.PARTS}


def result(name, quick=False):
    """What a benchmark leaves whose contestants all are installed and need 1 ms, 2 ms, ... and 1 MB, ..."""
    parts, cases = {"steps": 0.7, "batches": 0.2, "test": 0.06}, []
    for case in MODULES[name].cases(quick):
        contestants = [
            {
                "label": one.label,
                "note": one.note,
                "seconds": [1e-3 * (i + 1)] * 3,
                "calls": 1,
                "parts": [{part: 1e-3 * (i + 1) * share for part, share in parts.items()}] * 3,
                "bytes_before": 5_000_000,
                "building_bytes": 0,
                "peak_bytes": 5_000_000 + 1_000_000 * (i + 1),
            }
            for i, one in enumerate(case.contestants)
        ]
        cases.append(
            {
                "name": case.name,
                "parameters": dict(case.parameters),
                "contestants": contestants,
                "left_out": {},
            }
        )
    return {
        "benchmark": name,
        "question": MODULES[name].BENCHMARK.question,
        "command": f"python -m benchmarks {name}",
        "quick": quick,
        "pace": {"rounds": 3, "seconds": 0.1},
        "provenance": PROVENANCE,
        "cases": cases,
    }


def tables_of_gpu():
    """The cases that have a table each; of the document's loops only the first is shown."""
    names = [case.name for case in gpu.cases(quick=False) if "pass" not in case.parameters]
    return [*names, batch_vs_loop.cases(quick=False)[0].name]


def put(folder, name, **changes):
    """A result in a folder, made up."""
    (folder / f"{name}.json").write_text(json.dumps(result(name) | changes), encoding="utf-8")


def check(readme, folder):
    """A README has the section that belongs to the results in a folder."""
    assert report.section(readme.read_text(encoding="utf-8")) == report.render(folder)


@pytest.fixture
def folder(tmp_path):
    """All results, made up."""
    path = tmp_path / "results"
    path.mkdir()
    for name in report.PARTS:
        put(path, name)
    return path


@pytest.fixture
def readme(tmp_path):
    """A README without the section."""
    path = tmp_path / "README.md"
    path.write_text("# Title\n\n## Proof\n\nProven.\n\n## Next\n\nText.\n", encoding="utf-8")
    return path


def test_readme_says_what_the_results_say():
    """If this fails: python -m benchmarks report."""
    check(report.README, RESULTS)


def test_the_section_shows_pictures_that_are_there():
    section = report.section(report.README.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)]+)\)", section):
        assert (report.README.parent / link).exists()


def test_an_edited_number_is_noticed(folder, readme):
    report.write(folder, readme)
    check(readme, folder)
    text = readme.read_text(encoding="utf-8")
    numbers = list(re.finditer(r"\d+\.\d+", report.section(text)))
    assert len(numbers) > 20
    start = text.index(report.section(text))
    for number in numbers:
        at = start + number.end() - 1
        readme.write_text(text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :], encoding="utf-8")
        with pytest.raises(AssertionError):
            check(readme, folder)


def test_a_new_result_is_noticed(folder, readme):
    report.write(folder, readme)
    changed = result("epoch")
    changed["cases"][0]["contestants"][0]["seconds"] = [1e-6] * 3
    (folder / "epoch.json").write_text(json.dumps(changed), encoding="utf-8")
    with pytest.raises(AssertionError):
        check(readme, folder)
    report.write(folder, readme)
    check(readme, folder)


def test_the_section_comes_after_the_proof_and_nothing_else_changes(folder, readme):
    assert report.write(folder, readme) == [readme]
    text = readme.read_text(encoding="utf-8")
    section = f"{report.BEGIN}\n{report.render(folder)}{report.END}"
    assert text == f"# Title\n\n## Proof\n\nProven.\n\n## Speed\n\n{section}\n\n## Next\n\nText.\n"
    report.write(folder, readme)
    assert readme.read_text(encoding="utf-8") == text


def test_the_section_can_be_written_into_the_real_readme(folder, tmp_path):
    copy = tmp_path / "copy.md"
    shutil.copy(report.README, copy)
    report.write(folder, copy)
    check(copy, folder)
    old, new = (path.read_text(encoding="utf-8").splitlines() for path in (report.README, copy))
    assert [line for line in new if line.startswith("## ")].index("## Speed") > 0
    for heading in ("## Proof", "## Backends and random numbers"):
        assert heading in new
        assert heading in old


def test_it_is_no_doctest_and_names_no_path(folder):
    text = report.render(folder)
    assert ">>>" not in text
    assert str(folder) not in text


def test_without_results_there_is_no_section(tmp_path):
    assert report.render(tmp_path) == ""
    assert report.render(tmp_path / "nowhere") == ""
    assert report.section("no comments") == ""


@pytest.mark.parametrize("name", report.PARTS)
def test_a_result_alone_is_shown_alone(name, tmp_path):
    put(tmp_path, name)
    text = report.render(tmp_path)
    assert re.findall(r"results/(\w+)\.png", text) == [name]
    tables = {"epoch": 2, "gpu": len(tables_of_gpu())}
    assert text.count("|---|") == tables.get(name, 1)
    for line in report.PARTS[name](result(name)).splitlines():
        assert line in text or not line.startswith("|")


@pytest.mark.parametrize("name", report.PARTS)
def test_quick_results_can_be_shown_but_say_so(name, tmp_path):
    (tmp_path / f"{name}.json").write_text(json.dumps(result(name, quick=True)), encoding="utf-8")
    assert "quick mode, which measures nothing" in " ".join(report.render(tmp_path).split())


def test_every_row_that_is_to_be_shown_is_there(folder):
    text = report.render(folder)
    wanted = [*report_parts.STEPS, *report_parts.STEPPERS, *report_parts.OPTIMIZERS, *report_parts.MASKS]
    assert [what for what in wanted if not re.search(rf"\| {re.escape(what)}\b", text)] == []


def test_times_ratios_and_floors():
    text = report.PARTS["train_step"](result("train_step"))
    titles, _, *rows = text.split("\n\n")[1].splitlines()
    assert titles.count("× minidrop") == len(report_parts.STEPS)
    assert rows[0] == "| minidrop | 1 ms | 1.00 | 0.25 | 1 ms | 1.00 | 0.25 |"
    assert rows[2].startswith("| matrix products alone (in NumPy: the floor) | 4 ms | 4.00 | 1.00 |")


def test_a_contestant_that_was_left_out_of_one_case_leaves_gaps():
    changed = result("train_step")
    first = next(case for case in changed["cases"] if case["name"] == report_parts.STEPS[0])
    first["contestants"] = [one for one in first["contestants"] if one["label"] != "JAX"]
    line = next(row for row in report_parts.steps(changed).splitlines() if row.startswith("| JAX"))
    assert re.fullmatch(r"\| JAX[^|]*\|  \|  \|  \| 9 ms \| 9.00 \| 2.25 \|", line)


def test_without_the_others_only_minidrop_is_shown():
    changed = result("optimizers")
    for case in changed["cases"]:
        case["contestants"] = [one for one in case["contestants"] if "PyTorch" not in one["label"]]
    rows = report_parts.updates(changed).splitlines()[-len(report_parts.OPTIMIZERS) :]
    assert len(rows) == len(report_parts.OPTIMIZERS)
    assert all(row.count("|  |  |") == 1 for row in rows)


def test_memory_is_what_the_process_grew_by():
    text = report_parts.memory(result("scaling"))
    assert "| minidrop | 1 ms | 1.00 | 1 MB | 0.0 |" in text
    assert "563 MB" in text
    untold = result("scaling")
    for one in untold["cases"][-1]["contestants"]:
        one["peak_bytes"] = None
    assert "| minidrop | 1 ms | 1.00 | - | - |" in report_parts.memory(untold)


def test_what_is_published_stands_beside_what_was_measured():
    rows = report_parts.loops(result("batch_vs_loop")).splitlines()
    assert "| PyTorch | 1.3 | 5.1 |" in rows
    assert any(re.fullmatch(r"\| PyTorch GPU \| .* \| 76\.0 \|", row) for row in rows)


def test_the_parts_of_an_epoch_are_shares():
    text = report_parts.epochs(result("epoch"))
    assert "| minidrop | 1 ms | 1.00 | 70.0% | 20.0% | 6.0% | 4.0% |" in text
    assert "| import minidrop | minidrop --help | import numpy | import torch |" in text
    assert text.endswith("| time | 1 ms | 2 ms | 3 ms | 4 ms |")


def test_of_a_gpu_each_case_is_a_table_with_the_time_of_one_step():
    made = result("gpu")
    made["cases"][0]["contestants"][0]["facts"] = {"nodes": 21.1}
    text = report_parts.on_gpu(made)
    assert [line.split(" | ")[0] for line in text.splitlines() if "| time |" in line] == [
        f"| {name}" for name in tables_of_gpu()[:-1]
    ]
    # a repetition is a hundred steps; the floors are the fourth and the fifth contestant
    assert "| minidrop (CUDA graphs) | 10 µs | 1.00 | 500% | 21.1 |" in text
    assert "| copies of its bytes (a floor) | 50 µs | 5.00 | 100% |  |" in text
    assert "| copy (of as many numbers) | 3 ms | 3.00 | 100% |  |" in text
    assert f"| loop / batch, {tables_of_gpu()[-1]} | here | document 002 |" in text
    assert re.search(r"\| PyTorch GPU \| \d\.\d \| 76\.0 \|", text)
    assert "not measured" not in text


def test_the_gpu_is_named_beside_the_processor(folder):
    put(folder, "gpu", provenance=PROVENANCE | {"gpu": "A GPU"})
    text = " ".join(report.render(folder).split())
    assert "`gpu`: measured on A GPU; 2 processors (A Processor) with" in text


def test_results_of_two_machines_name_both(folder):
    put(folder, "dropout", provenance=PROVENANCE | {"processor": "Another"})
    text = " ".join(report.render(folder).split())
    assert "`dropout`: measured on 2 processors (Another) with Python 3.11, NumPy 2.0, at commit abc." in text
    assert "`epoch`" in text
    assert "A Processor" in text


def test_results_of_one_machine_name_it_once(folder):
    put(folder, "dropout", provenance=PROVENANCE | {"commit": "def"})
    text = report.render(folder)
    assert text.count("A Processor") == 1
    assert "at commit abc or def." in " ".join(text.split())


def test_its_lines_are_no_longer_than_readmes(folder):
    for line in report.render(folder).splitlines():
        assert len(line) <= 115 or line[0] in "|!"
