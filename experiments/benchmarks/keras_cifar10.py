"""Runs 10 and 11 as their documents print them, in Keras itself: the figures ours are held against.

    python -m experiments.benchmarks.keras_cifar10 --run=10 --seeds=2 --out=keras_run10.json
    KERAS_BACKEND=torch python -m experiments.benchmarks.keras_cifar10 --run=11

Needs Keras 3 and one of its backends, which are no dependency of this project.
"""

if __name__ == "__main__":  # before anything heavy is imported
    from experiments.cli import huge_pages

    huge_pages.ask()

import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from experiments.cli import flags as cli
from experiments.cli import out_flag
from experiments.cli.out_flag import OUT
from experiments.documented import RUNS
from imgcls_jax import metrics
from imgcls_jax.data import Dataset
from imgcls_jax.errors import UserError
from imgcls_jax.files import replacing
from imgcls_jax.report import console
from imgcls_jax.workdir import environment


def documented_cnn(*, softmax: bool, dropout: float) -> Any:
    """Builds the network of runs 10 and 11, a `keras.Model` of (N, 32, 32, 3) -> (N, 10).

    Args:
      softmax: whether the last layer gives probabilities, as in run 11, or logits.
      dropout: its rate before the last layer; 0 for none, as in run 10.

    Raises:
      ImportError: if Keras or its backend is not installed.
    """
    import keras
    from keras import layers

    stack = [
        keras.Input((32, 32, 3)),
        layers.Conv2D(32, (3, 3), activation="relu"),
        layers.MaxPooling2D((2, 2)),
        layers.Conv2D(64, (3, 3), activation="relu"),
        layers.MaxPooling2D((2, 2)),
        layers.Conv2D(64, (3, 3), activation="relu"),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        *([layers.Dropout(dropout)] if dropout else []),
        layers.Dense(10, activation="softmax" if softmax else None),
    ]
    return keras.Sequential(stack)


def train(dataset: Dataset, *, run: int, epochs: int, seed: int) -> dict[str, Any]:
    """Trains as the program of one run does; the test set is its validation set, as documented.

    Returns:
      The last epoch's figures (fractions, nats), the best epoch's accuracy, the history, the
      confusion matrix, the seconds of `fit` and the bytes of the saved network.
    """
    import keras

    keras.utils.set_random_seed(seed)
    training, test = (
        (split.images.astype("float32") / 255.0, split.labels)
        for split in (dataset.train, dataset.test)
    )
    if run == 10:
        model = documented_cnn(softmax=False, dropout=0.0)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    else:
        model = documented_cnn(softmax=True, dropout=RUNS[run].settings["dropout"])
        loss = "categorical_crossentropy"
        training, test = ((x, np.eye(10, dtype="float32")[y]) for x, y in (training, test))
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    started = time.perf_counter()
    history = model.fit(*training, epochs=epochs, batch_size=32, validation_data=test, verbose=2)
    seconds = time.perf_counter() - started
    loss, accuracy = model.evaluate(*test, verbose=0)
    predicted = model.predict(test[0], verbose=0)
    matrix = metrics.confusion_matrix(dataset.test.labels, predicted, dataset.num_classes)
    return {
        "seed": seed,
        "parameters": model.count_params(),
        "test_accuracy": accuracy,
        "test_loss": loss,
        "train_accuracy": history.history["accuracy"][-1],
        "train_loss": history.history["loss"][-1],
        "best_epoch_accuracy": max(history.history["val_accuracy"]),
        "history": history.history,
        "confusion_matrix": matrix.tolist(),
        "fit_seconds": seconds,
        "saved_bytes": _saved_bytes(model),
    }


def _saved_bytes(model: Any) -> dict[str, int]:
    """Returns the sizes of the files that Keras saves the network as."""
    with tempfile.TemporaryDirectory() as folder:
        sizes = {}
        for suffix in (".keras", ".h5"):
            model.save(Path(folder, f"model{suffix}"))
            sizes[suffix] = Path(folder, f"model{suffix}").stat().st_size
    return sizes


def main() -> None:
    """Trains every seed that --out does not hold yet, writes it there, and prints the figures.

    Raises:
      UserError: if Keras or its backend is not installed.
    """
    try:
        import keras
    except ImportError as error:
        raise UserError(
            f"Keras cannot be imported ({error}); pip install keras and a backend, and set "
            "KERAS_BACKEND to its name (tensorflow, torch or jax)."
        ) from None
    given = flags.FLAGS
    run = int(given.run)
    epochs = given.epochs or RUNS[run].settings["epochs"]
    dataset = cli.load_data("cifar10")
    result = {
        "run": f"run {run} in Keras",
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "cores": len(os.sched_getaffinity(0)),
        "epochs": epochs,
        "data_verified": dataset.verified,
        "seeds": _finished(run, epochs),
    } | environment()
    for seed in range(len(result["seeds"]), given.seeds):
        result["seeds"].append(train(dataset, run=run, epochs=epochs, seed=seed))
        accuracies = [found["test_accuracy"] for found in result["seeds"]]
        result["mean_test_accuracy"] = statistics.mean(accuracies)
        if OUT.value:
            with replacing(Path(OUT.value), advice="choose another --out") as temporary:
                temporary.write_text(json.dumps(result, indent=1) + "\n")
    console.heading(result["run"])
    for found in result["seeds"]:
        names = ("seed", "test_accuracy", "best_epoch_accuracy", "train_accuracy", "saved_bytes")
        console.pairs({name: found[name] for name in names})


def _finished(run: int, epochs: int) -> list[dict[str, Any]]:
    """Returns the seeds that --out already holds, from 0 on.

    Raises:
      UserError: if the file is not one of this run and these epochs.
    """
    if not OUT.value or not Path(OUT.value).exists():
        return []
    try:
        held = json.loads(Path(OUT.value).read_text())
        if (held["run"], held["epochs"]) == (f"run {run} in Keras", epochs):
            return held["seeds"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise UserError(
        f"--out={OUT.value} holds something else than {epochs} epochs of run {run}; give another."
    )


if __name__ == "__main__":
    # Only here: other commands have flags of these names and use the network above.
    flags.adopt_module_key_flags(cli)
    flags.adopt_module_key_flags(out_flag)
    flags.DEFINE_enum("run", "10", ["10", "11"], "documented run")
    flags.DEFINE_integer("seeds", 1, "seeds, from 0", lower_bound=1)
    flags.DEFINE_integer("epochs", None, "epochs, by default the run's", lower_bound=1)
    cli.run(main)
