"""What the tests of document 004's experiments share."""

import pytest

from minidrop.experiments import Plan, experiment
from minidrop.experiments import initializations as initializations_module
from minidrop.experiments import optimizers_compared as optimizers_module
from minidrop.experiments.verdicts import AGREES, DIFFERS

QUICK = Plan(quick=True)


@pytest.fixture
def without_figures(monkeypatch):
    """Let the analyses draw nothing, which takes most of their time."""
    monkeypatch.setattr(initializations_module, "drawings", lambda *_: [])
    monkeypatch.setattr(optimizers_module, "_inflation", lambda *_: None)


@pytest.fixture
def judge(tmp_path, without_figures):
    """Run some jobs of an experiment and analyse them: the names or texts of what differs."""

    def run(name, *keys):
        this = experiment(name)
        jobs = {job.key: job for job in this.jobs(QUICK)}
        results = {key: jobs[key].work(tmp_path, **jobs[key].arguments) for key in keys}
        findings = this.analyse(QUICK, results)
        exact = [(q.name, q.verdict) for q in findings.quantities if q.rule == "exact"]
        exact += [(claim.text, claim.verdict) for claim in findings.claims if claim.exact]
        assert {verdict for _, verdict in exact} <= {AGREES, DIFFERS}
        return [text for text, verdict in exact if verdict == DIFFERS]

    return run
