"""The documented runs as data: `RUNS` by number.

A document may contradict itself about a setting. Every value that it allows then makes a `Reading`,
and the first one is the preset. A figure here is a claim to be tested; nothing in this package was
measured by this project.
"""

from experiments.documented import cifar10, fashion_mnist, transfer
from experiments.documented.run import DocumentedRun, Reading

__all__ = ["RUNS", "DocumentedRun", "Reading"]

RUNS: dict[int, DocumentedRun] = {
    run.number: run for run in (*fashion_mnist.RUNS, *cifar10.RUNS, *transfer.RUNS)
}
