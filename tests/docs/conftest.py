"""Results and runs that the tests of pages may change."""

import shutil

import made_up
import pytest
from docs_helpers import changed

from docs import pages
from minidrop.experiments import Plan
from minidrop.experiments.reproduce import reproduce


@pytest.fixture
def results(tmp_path):
    """A folder of results with two experiments' in it, and their pages."""
    folder = tmp_path / "results"
    for name in ("ravine", "golden-dropout"):
        shutil.copytree(pages.RESULTS / name, folder / name)
    pages.write(folder)
    return folder


@pytest.fixture(scope="session")
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
