"""Who takes part in the training step: one file each, with a function `step(**fields, options...)`.

The fields are those of `benchmarks.workload.Workload`. What `step` returns is called for one training step:
forward, loss, backward, update, max-norm, on the same batch each time, with dropout drawn the contestant's
own way. `values(n)` gives the losses of its first n steps with the workload's masks; it is asked once, before
everything else, and trains the same weights.
"""
