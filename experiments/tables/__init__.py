"""The result files as one page of tables, `experiments/results/README.md`.

A number stands on the page only if a file holds it; a file that no table shows is an error.
"""

from pathlib import Path

from experiments.tables import (
    builders,
    doctor,
    evidence,
    limits,
    race,
    runs,
    scaling,
    speed,
    studies,
)
from experiments.tables.documented import against_keras, documented
from experiments.tables.ensembles import NOTE, ensembles
from experiments.tables.files import Files, table
from imgcls_jax.errors import UserError

_INTRO = """\
# What was measured

Written by `python -m experiments.reproduce --table` from the JSON files beside it; a test compares
the two. Do not edit it: change a file, or `experiments/tables/`, and write it again.

n counts seeds. ± is the standard deviation over them (n - 1). *p* asks whether the documented
figure may be a further seed: Student's t of one more draw, with n - 1 degrees of freedom, or ranks
alone where the Shapiro-Wilk test calls the seeds skewed (p < 0.05, then there is no t). It fits
from p = 0.05 on and does not fit below 0.01; by ranks it is within or outside the seeds. Both
figures are of the same images, so that the sampling error of a test set (0.3 points for 10,000
images) is in both and not in the distance. Seconds of training leave out compilation and
evaluation; other work shared the machine, so that only the last two sections compare speed. What
the figures mean is in [BUILD_NOTES.md](../../BUILD_NOTES.md).
"""
_KERAS_NOTE = """\
Two programs share neither starts nor orders, so that their seeds make no pairs: Welch's interval
for the difference of the means."""
_CLAIMS_NOTE = """\
Pairs of one seed each; *p* and the interval are of one comparison. A variant is called better or
worse where p stays below 0.05 with Holm's correction for the number of variants."""
_UNVERIFIED = "† the data did not match the published digests; BUILD_NOTES.md says why."


def page(folder: Path) -> str:
    """Returns the Markdown page of all result files in `folder`.

    Raises:
      UserError: for a result file that no table shows.
    """
    files = Files(folder)
    sections = {
        "Documented runs": ("", documented(files), _UNVERIFIED),
        "Ours and Keras": (_KERAS_NOTE, against_keras(files), ""),
        "What the author most probably ran": (
            evidence.READINGS_NOTE,
            evidence.readings(files),
            "",
        ),
        "What the documents claim in passing": (_CLAIMS_NOTE, evidence.claims(files), ""),
        "Presets beyond the documents": (
            runs.PRESETS_NOTE,
            runs.claimed(files, runs.PRESETS),
            "",
        ),
        "Tuning": (studies.NOTE, studies.studies(files), ""),
        "Ensembles": (NOTE, ensembles(files), ""),
        "Transfer learning": (runs.TRANSFER_NOTE, runs.claimed(files, runs.TRANSFER), ""),
        "Limits of predictions": (limits.NOTE, limits.limits(files), ""),
        "The doctor for photos": (doctor.NOTE, doctor.found(files), ""),
        "TFDS without TensorFlow": (builders.NOTE, builders.builders(files), ""),
        "The speed run on a GPU": (race.NOTE, race.race(files), ""),
        "Speed": (speed.NOTE, speed.contests(files), ""),
        "Several devices, several machines": ("", scaling.several_machines(folder), ""),
    }
    if left := sorted(set(files.every) - files.shown):
        raise UserError(
            f"no table shows {left[0]}.json; name it in experiments/tables/, or remove it."
        )
    header = ("", "machine", "jax", "flax", "optax", "NumPy", "Python")
    machines = table(header, [(letter, *made) for made, letter in files.machines.items()])
    parts = [_INTRO, "## Where\n", *machines]
    for title, (before, lines, after) in sections.items():
        if lines:
            parts += [f"\n## {title}\n", *([before, ""] if before else []), *lines]
            parts += ["", after] if after else []
    return "\n".join(parts) + "\n"
