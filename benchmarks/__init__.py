"""What is fast here, by how much, and against what: `python -m benchmarks list`."""
