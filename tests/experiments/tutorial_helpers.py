"""What the tests of document 004's experiments share."""

from minidrop.experiments import Plan, experiment
from minidrop.experiments.verdicts import AGREES, DIFFERS

QUICK = Plan(quick=True)


def what_differs(folder, name, *keys):
    """Run some jobs of an experiment and analyse them: the names or texts of what is not as it must be."""
    this = experiment(name)
    jobs = {job.key: job for job in this.jobs(QUICK)}
    results = {key: jobs[key].work(folder, **jobs[key].arguments) for key in keys}
    findings = this.analyse(QUICK, results)
    exact = [(q.name, q.verdict) for q in findings.quantities if q.rule == "exact"]
    exact += [(claim.text, claim.verdict) for claim in findings.claims if claim.exact]
    assert {verdict for _, verdict in exact} <= {AGREES, DIFFERS}
    return [text for text, verdict in exact if verdict == DIFFERS]
