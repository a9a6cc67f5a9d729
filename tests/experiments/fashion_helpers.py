"""What the tests of document 003's experiments share: parts of quick runs, and what turned red in them."""

from minidrop.experiments import Plan, experiment
from minidrop.experiments.runner import run_jobs

QUICK = Plan(quick=True)


def some(name, folder, *begins):
    """Findings from the jobs of a quick run whose keys begin so."""
    this = experiment(name)
    jobs = [job for job in this.jobs(QUICK) if job.key.startswith(begins)]
    results = run_jobs(jobs, folder)
    assert len(results) == len(jobs)
    return this.analyse(QUICK, results)


def verdicts(findings):
    """The exact ones by name."""
    found = {q.name: q.verdict for q in findings.quantities if q.rule == "exact"}
    return found | {claim.text: claim.verdict for claim in findings.claims if claim.exact}


def red(findings):
    """The names of what must be exact and is not."""
    return [name for name, verdict in verdicts(findings).items() if verdict == "differs"]


def made_up(job, shift=0.0):
    """A result as a training gives it, without training."""
    epochs = job.arguments["config"]["epochs"]
    raw = [0.5 + shift + 0.01 * epoch for epoch in range(epochs)]
    errors = [100 * (0.9 - value) for value in raw]
    history = [
        {"epoch": i + 1, "train_loss": 0.5, "test_error": error, "validation_error": error}
        for i, error in enumerate(errors)
    ]
    probe, followed = raw[-1], raw
    if "variances" in str(job.arguments["probe"]):
        one = {"before": 1.0, "after": 2.0, "law": 2.0, "expected": 2.0, "document": 0.5, "error": 0.1}
        probe, followed = [one, one], [[one, one]] * epochs
    elif "parameters" in job.arguments["probe"]:
        probe, followed = 269322, []
    elif "mean_weights" in job.arguments["probe"]:
        probe = {"raw": raw[-1], "mean weights": 0.5}
    elif "with_masks" in job.arguments["probe"]:
        one, mean = {"accuracy": raw[-1], "loss": 0.5}, {"accuracy": raw[-1] + 0.1, "loss": 0.4}
        probe, followed = {"all": one, "mean": [mean] * 8, "single": raw[-1] - 0.1, "changed": 0.1}, []
        probe |= {"ratio": 1.0, "error": 0.1}
    result = {"history": history, "probe": probe, "followed": followed, "diverged": None}
    return result | {"best_epoch": epochs, "test": {"errors": errors[-1], "size": 100}}
