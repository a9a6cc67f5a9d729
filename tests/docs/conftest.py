"""The folder of results that the tests of pages may change."""

import shutil

import pytest

from docs import pages


@pytest.fixture
def results(tmp_path):
    """A folder of results with two experiments' in it, and their pages."""
    folder = tmp_path / "results"
    for name in ("ravine", "golden-dropout"):
        shutil.copytree(pages.RESULTS / name, folder / name)
    pages.write(folder)
    return folder
