"""One of the processes that the tests start: trains by the library as `experiments` do.

    python one_process.py RUN NUMBER COUNT PORT [NAME=VALUE ...]

Beside the settings it takes `pictures`, a folder of photos to stream; `stop_at`, a step at which
process 1 gets SIGTERM; `kill_at`, one at which process `killed` gets SIGKILL; `seen`, a folder for
the numbers of the examples that each process reads; `lost_after`, the flag. The digits are drawn
here: the real ones need scikit-learn.
"""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np

from imgcls_jax.config import Config, settings_by_name
from imgcls_jax.data.dataset import Dataset, Split
from imgcls_jax.machines import group
from imgcls_jax.train import loop, run
from imgcls_jax.workdir import Workdir

LOST_AFTER = 30
SETTINGS = {"dataset": "digits", "hidden": (16,), "batch_size": 16, "epochs": 2, "lr": 0.01}


def drawn(examples=104, classes=4):
    """Images whose brightest corner is their class; 104 by 16 leaves an uneven last batch of 8."""
    rng = np.random.default_rng(0)

    def split(count):
        labels = rng.integers(classes, size=count).astype(np.int32)
        images = rng.integers(0, 80, (count, 8, 8, 1), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[4 * (label // 2) :, 4 * (label % 2) :][:4, :4] += np.uint8(60)
        return Split(images, labels)

    return Dataset(
        name="corners",
        train=split(examples),
        validation=split(30),
        test=split(50),
        class_names=tuple("abcd"[:classes]),
        source="drawn",
        verified=None,
    )


def dataset_of(pictures, config):
    if pictures is None:
        return drawn()
    from imgcls_jax import data

    return data.load("folder", data_dir=pictures, **config.data.options(), workers=0)


def note_seen(folder, number):
    """Has the numbers of all examples that are read for training written down, batch by batch."""
    from imgcls_jax.data.photos.streaming import Batches

    read = Batches.__getitem__

    def noted(self, batch):
        found = read(self, batch)
        if self.shuffle:
            with (Path(folder) / f"{number}.jsonl").open("a") as file:
                file.write(json.dumps([self.first + batch, found["index"].tolist()]) + "\n")
        return found

    Batches.__getitem__ = noted


def signal_at(step, number, what):
    """Has process `number` send itself a signal when it has made that many steps."""
    saw = loop._Pace.saw
    made = [0]

    def counted(self, count, seconds):
        made[0] += count
        if made[0] >= step and group.number() == number:
            os.kill(os.getpid(), what)
        saw(self, count, seconds)

    loop._Pace.saw = counted


def train(path, given):
    """Trains in a folder by settings, which `given` names as texts."""
    extra = {n: given.pop(n, None) for n in ("pictures", "stop_at", "kill_at", "killed", "seen")}
    fields = {name: field for name, (_, field) in settings_by_name().items()}
    typed = {n: v if fields[n].default is None else type(fields[n].default)(v)
             for n, v in given.items()}  # fmt: skip
    if extra["pictures"] is not None:
        typed |= {"dataset": "folder", "image_size": 8, "feed": "streamed"}
    config = Config.of(**(SETTINGS | typed))
    if extra["seen"] is not None:
        note_seen(extra["seen"], group.number())
    if extra["stop_at"] is not None:
        signal_at(int(extra["stop_at"]), 1, signal.SIGTERM)
    if extra["kill_at"] is not None:
        signal_at(int(extra["kill_at"]), int(extra["killed"] or 1), signal.SIGKILL)
    dataset = dataset_of(extra["pictures"], config)
    return run.train(config, name="test", dataset=dataset, workdir=Workdir(path))


def main():
    path, number, count, port, *pairs = sys.argv[1:]
    given = dict(pair.split("=", 1) for pair in pairs)
    from absl import flags

    from experiments.cli import machines

    meeting = [f"--coordinator=localhost:{port}", f"--process_id={number}"]
    patience = f"--lost_after={given.pop('lost_after', LOST_AFTER)}"
    alone = count == "1"
    flags.FLAGS(["test", f"--processes={count}", *([] if alone else [*meeting, patience])])
    with machines.together():
        summary = train(path, given)
        print(f"accuracy {summary['test_accuracy']}")


if __name__ == "__main__":
    main()
