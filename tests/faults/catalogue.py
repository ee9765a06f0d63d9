"""All faults, room by room."""

from . import (
    augment,
    core,
    data,
    doors,
    ensembles,
    evidence,
    folders,
    general,
    limits,
    models,
    named,
    networks,
    optim,
    outputs,
    photos,
    preparing,
    pretrained,
    runs,
    seeds,
    train,
    tuning,
)
from .fault import ROOT, Fault

ROOMS = {
    module.__name__.rpartition(".")[2]: module.FAULTS
    for module in (
        core, optim, augment, models, networks, train, runs, data, photos, named, preparing, doors,
        pretrained, outputs, evidence, general, ensembles, tuning, seeds, limits, folders,
    )
}  # fmt: skip
FAULTS: tuple[Fault, ...] = tuple(fault for faults in ROOMS.values() for fault in faults)


def outdated() -> list[str]:
    """Returns a sentence for each fault that no longer fits the library or its tests."""
    found = []
    for fault in FAULTS:
        try:
            fault.planted_in((ROOT / fault.file).read_text())
        except (OSError, ValueError) as error:
            found.append(str(error))
        found += [
            f"fault {fault.name} names {test}, which does not exist."
            for test in fault.tests
            if not (ROOT / test.partition("::")[0]).is_file()
        ]
    return found
