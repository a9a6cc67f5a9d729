"""The commit that a result was made with."""

import subprocess

import pytest

from minidrop import versions


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A checkout with a package whose versions.py is asked, as if it were ours."""
    place = tmp_path / "checkout" / "minidrop"
    place.mkdir(parents=True)
    (place / "versions.py").write_text("one\n")
    monkeypatch.setattr(versions, "__file__", str(place / "versions.py"))
    versions.commit.cache_clear()
    yield place
    versions.commit.cache_clear()


def git(place, *arguments):
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=place, check=True, capture_output=True)


def test_the_commit_of_a_checkout_says_if_files_differ(package):
    git(package.parent, "init")
    git(package.parent, "add", ".")
    git(package.parent, "commit", "-m", "first")
    clean = versions.commit()
    assert len(clean) >= 7
    assert versions.versions()["commit"] == clean
    (package / "versions.py").write_text("two\n")
    versions.commit.cache_clear()
    assert versions.commit() == f"{clean}-dirty"


def test_the_repository_that_it_is_installed_in_is_not_its_own(package):
    git(package.parents[1], "init")
    assert versions.commit() == "unknown"


def test_without_git_the_commit_is_unknown(package, monkeypatch):
    (package.parent / ".git").mkdir()
    monkeypatch.setenv("PATH", "")
    assert versions.commit() == "unknown"
