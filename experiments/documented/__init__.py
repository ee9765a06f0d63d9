"""The documented runs as data.

Where a document contradicts itself about a setting, each value it can be read as is a
:class:`Reading`, and the first one is the preset. A figure here is a claim to be tested against,
and nothing in this package was measured by this project.
"""

from experiments.documented import cifar10, fashion_mnist, transfer
from experiments.documented.run import DocumentedRun, Reading

__all__ = ["RUNS", "DocumentedRun", "Reading"]

RUNS: dict[int, DocumentedRun] = {
    run.number: run for run in (*fashion_mnist.RUNS, *cifar10.RUNS, *transfer.RUNS)
}
