"""README's section on speed, from the results: `python -m benchmarks report`.

Each part of it shows what its result has; a result that is not there is left out with its part.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from textwrap import wrap
from typing import Any

from benchmarks.report_parts import PARTS
from benchmarks.results import RESULTS

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
#: the section that the one on speed follows
BEFORE = "\n## Proof\n"

#: versions that are named, by the name in the provenance
NAMES = {
    "python": "Python",
    "numpy": "NumPy",
    "blas": "BLAS",
    "torch": "PyTorch",
    "jax": "JAX",
    "thinc": "thinc",
    "scikit-learn": "scikit-learn",
    "cupy-cuda12x": "CuPy",
    "cupy-cuda13x": "CuPy",
}

Result = Mapping[str, Any]


def write(folder: Path = RESULTS, readme: Path = README) -> list[Path]:
    """Put the section for the results in `folder` into `readme`; the paths that were written."""
    text = readme.read_text(encoding="utf-8")
    section = f"{BEGIN}\n{render(folder)}{END}"
    if BEGIN in text:
        before, _, rest = text.partition(BEGIN)
        changed = before + section + rest.partition(END)[2]
    else:
        start = text.find("\n## ", text.index(BEFORE) + 1)
        start = len(text) if start < 0 else start
        changed = f"{text[:start]}\n## Speed\n\n{section}\n{text[start:]}"
    readme.write_text(changed, encoding="utf-8")
    return [readme]


def section(text: str) -> str:
    """What a README has between the two comments; nothing if it has no such section."""
    return text.partition(f"{BEGIN}\n")[2].partition(END)[0]


def render(folder: Path) -> str:
    """The section in Markdown; nothing without results."""
    results = {
        name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in found(folder)
    }
    if not results:
        return ""
    parts = [provenance(results), *(PARTS[name](results[name]) for name in PARTS if name in results)]
    pictures = [f"![{results[name]['question']}](benchmarks/results/{name}.png)" for name in results]
    parts += ["<details><summary>Figures</summary>", *pictures, "</details>"]
    return "".join(f"{wrapped(paragraph)}\n\n" for part in parts for paragraph in part.split("\n\n"))


def wrapped(paragraph: str) -> str:
    """A paragraph in lines as long as README's, unless it is a table, a picture or HTML."""
    return paragraph if paragraph[0] in "|!<" else "\n".join(wrap(paragraph, 112, break_on_hyphens=False))


def found(folder: Path) -> list[str]:
    """The benchmarks that have a result, those with a part first and in the order of the parts."""
    names = sorted(path.stem for path in folder.glob("*.json"))
    return [*(name for name in PARTS if name in names), *(name for name in names if name not in PARTS)]


def provenance(results: Mapping[str, Result]) -> str:
    """How everything was measured, on what, and the command that repeats it."""
    machines: dict[str, dict[str, str]] = {}
    for name, result in results.items():
        machines.setdefault(machine(result), {})[name] = result["provenance"]["commit"]
    lines = [
        "Each contestant has a process of its own, and they take turns in interleaved rounds. Shown are "
        "medians of the times, and of each round's ratios, which need not be the quotients of those medians. "
        "Contestants that compute the same must agree on it before they are timed. `python -m benchmarks "
        "all` repeats this with what the extra `bench` installs, `python -m benchmarks report` writes this "
        "section from [the results](benchmarks/results), which hold the spreads, too."
    ]
    for text, commits in machines.items():
        names = "" if len(machines) == 1 else f"{', '.join(f'`{name}`' for name in commits)}: "
        line = f"{names}{text}, at commit {' or '.join(dict.fromkeys(commits.values()))}."
        lines.append(line[0].upper() + line[1:])
    return "\n\n".join(lines)


def machine(result: Result) -> str:
    """What a result was measured on."""
    known = result["provenance"]
    count = known["processors_used"]
    used = f"{count} {'processor' if count == 1 else 'processors'} ({known['processor']})"
    if "gpu" in known:
        used = f"{known['gpu']}; {used}"
    versions = ", ".join(f"{title} {known[name]}" for name, title in NAMES.items() if name in known)
    how = "run in quick mode, which measures nothing," if result["quick"] else "measured"
    return f"{how} on {used} with {versions}"
