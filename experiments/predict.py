"""Classifies pictures with the network of any run, or with an exported one.

python -m experiments.predict --checkpoint=runs/transfer/... photo.jpg folder/
python -m experiments.predict --checkpoint=RUN --top=1 folder/
python -m experiments.predict --checkpoint=RUN --out=predictions.csv folder/
python -m experiments.predict --checkpoint=RUN --grid=sheet.png --saliency folder/
python -m experiments.predict --checkpoint=model.stablehlo.zip photo.jpg
python -m experiments.predict --checkpoint=RUN --unknown=0.05 folder/
python -m experiments.predict --checkpoint=RUN --coverage=0.9 folder/
python -m experiments.predict --checkpoint=EGGS --positive=Damaged --threshold=0.2 folder/

--unknown=0.05 says "unknown" of pictures whose features are farther from those of the training
photos than 5 % of known photos have them. --coverage=0.9 lists classes until the true one is among
them for 90 % of such photos. Both need a run that learned them from photos it was not trained on.

A network that gives pictures any number of labels lists those from their thresholds on, which the
run chose on validation photos.

Folders are searched with all folders below them; files there that have no image's name are passed
over and counted. Files that are no usable image are reported and skipped; the exit status is 1 if
nothing could be classified. Pictures are brought to the network's size as in its training, and to
grey for networks that take grey images: those of Fashion-MNIST and of digits know light things on a
dark ground only.
"""

if __name__ == "__main__":  # before anything heavy is imported
    from experiments.cli.beginning import begin

    begin()

import dataclasses
import itertools
import os
import sys
from collections import Counter
from pathlib import Path

from absl import flags
from tqdm.auto import tqdm

from experiments.cli import checkpoint_flag, out_flag
from experiments.cli import flags as cli
from experiments.cli.checkpoint_flag import CHECKPOINT
from experiments.cli.out_flag import OUT, require_writable
from imgcls_jax.errors import UserError
from imgcls_jax.predict import output, predictor
from imgcls_jax.predict.judge import UNKNOWN, Asked, Judgement, make_judge
from imgcls_jax.train.waiting import waiting

flags.adopt_module_key_flags(checkpoint_flag)
flags.adopt_module_key_flags(out_flag)
_TOP = flags.DEFINE_integer("top", 5, "most probable classes to show of each picture")
_FORMAT = flags.DEFINE_enum(
    "format", None, list(output.FORMATS), "what to write; by the ending of --out, else a table"
)
_GRID = flags.DEFINE_string("grid", None, "PNG file to draw the first pictures in, --grid_images")
_GRID_IMAGES = flags.DEFINE_integer("grid_images", 24, "most pictures of --grid")
_SALIENCY = flags.DEFINE_bool(
    "saliency", False, "draw beside each picture of --grid where the network looks (Grad-CAM)"
)
_UNKNOWN = flags.DEFINE_float(
    "unknown", None, "share of known photos that may be called unknown, so that strange ones are"
)
_COVERAGE = flags.DEFINE_float(
    "coverage", None, "list classes until the true one is among them with this probability"
)
_POSITIVE = flags.DEFINE_string(
    "positive", None, "the class of two to decide for from --threshold on, such as the rare one"
)
_THRESHOLD = flags.DEFINE_float("threshold", None, "least probability of --positive (default: 0.5)")


def main(sources: list[str]) -> None:
    """Classifies the pictures in `sources`, files and folders, and writes the report.

    Raises:
      UserError: for flags or sources that cannot be used, or if no picture can be classified.
    """
    asked = _check(sources)
    sys.stdout.reconfigure(errors="backslashreplace")  # names that the terminal has no letters for
    sys.stderr.reconfigure(errors="backslashreplace")
    paths, passed = _pictures(sources)
    with waiting("reading the network"):
        network = predictor.load(CHECKPOINT.value)
    if _SALIENCY.value and network.grad_cam is None:
        raise UserError(
            "--saliency needs the network's code, and an exported file has none; give the run's "
            "folder as --checkpoint."
        )
    asked = dataclasses.replace(asked, labels=network.thresholds is not None)
    judge = make_judge(network, asked)
    if passed:
        print(f"passed over: {passed}", file=sys.stderr)
    suffix = Path(OUT.value or "").suffix.lower().removeprefix(".")
    form = _FORMAT.value or (suffix if suffix in output.FORMATS else "table")
    shown, done, unknown = [], 0, 0
    predictions = predictor.predict(network, paths, distances=asked.unknown is not None)
    of = {"paths": paths, "class_names": network.class_names, "top": _TOP.value}
    with output.open_report(form, OUT.value, **of, judge=judge, asked=asked) as write:
        for prediction in _with_bar(predictions, len(paths)):
            if prediction.error is not None:
                name = output.printable(prediction.path)
                tqdm.write(f"skipped: {name} {prediction.error}", file=sys.stderr)
                continue
            judgement = write(prediction)
            done += 1
            unknown += judgement.decision is None
            if _GRID.value and len(shown) < _GRID_IMAGES.value:
                shown.append((prediction, judgement))
        if not done:
            what = "the file" if len(paths) == 1 else f"any of the {len(paths):,} files"
            raise UserError(f"could not classify {what}; see the reasons above.")
    written = [Path(OUT.value)] if OUT.value else []
    if _GRID.value:
        written.append(_draw(network, shown, asked, done))
    _tell(asked, written, of=len(paths), done=done, unknown=unknown)


def _tell(asked: Asked, written: list[Path], *, of: int, done: int, unknown: int) -> None:
    """Prints what the columns mean that were asked for, and what was written."""
    if asked.unknown is not None:
        print(
            f"decision: {UNKNOWN} where a picture is farther from the training photos than all but "
            f"{asked.unknown:.3g} of known ones are; {unknown:,} of {done:,} here",
            file=sys.stderr,
        )
    if asked.coverage is not None:
        said = f"set: the classes that hold the true one for {asked.coverage:.3g} of known photos"
        print(said, file=sys.stderr)
    if written or done < of:
        pictures = "picture" if done == 1 else "pictures"
        skipped = f", {of - done:,} of {of:,} files skipped" if done < of else ""
        where = f"; written: {', '.join(map(str, written))}" if written else ""
        print(f"{done:,} {pictures} classified{skipped}{where}", file=sys.stderr)


def _pictures(sources: list[str]) -> tuple[list[str], str]:
    """Returns the files to classify, and in words what is passed over in folders.

    Raises:
      UserError: there are none.
    """
    if not any(map(os.path.lexists, sources)):
        given = " or ".join(map(output.printable, sources))
        raise UserError(f"there is no {given}; give files or folders that exist.")
    paths = predictor.find_images(sources, passed := Counter())
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(passed.items()))
    if not paths:
        instead = f" but {kinds}" if kinds else ""
        raise UserError(
            f"there are no images in {', '.join(map(output.printable, sources))}{instead}; give "
            "other files or folders."
        )
    return paths, kinds


def _check(sources: list[str]) -> Asked:
    """Returns what to judge by; raises a UserError for flags or sources that cannot be used."""
    if not CHECKPOINT.value:
        raise UserError("no network is given; add --checkpoint=RUN, the folder of a run.")
    if not sources:
        raise UserError("no pictures are given; add files or folders, see --help.")
    for flag in (_TOP, _GRID_IMAGES):
        if flag.value < 1:
            raise UserError(f"--{flag.name}={flag.value} cannot be used; it must be at least 1.")
    if _SALIENCY.value and not _GRID.value:
        raise UserError("--saliency is drawn in the grid; add --grid=FILE.png.")
    require_writable()
    require_writable(_GRID)
    return Asked(_UNKNOWN.value, _COVERAGE.value, _POSITIVE.value, _THRESHOLD.value)


def _with_bar(predictions, total: int):
    """Yields the predictions, with a bar on a terminal that the results are not written to."""
    predictions = iter(predictions)
    with waiting("compiling the network, classifying the first pictures"):
        first = next(predictions)
    predictions = itertools.chain([first], predictions)
    hidden = not sys.stderr.isatty() or (not OUT.value and sys.stdout.isatty())
    return tqdm(predictions, total=total, unit=" pictures", disable=hidden, file=sys.stderr)


def _draw(
    network: predictor.Predictor,
    judged: list[tuple[predictor.Prediction, Judgement]],
    asked: Asked,
    done: int,
) -> Path:
    """Draws the pictures with their classes, as they were judged; returns the sheet's path."""
    import numpy as np

    from imgcls_jax.report import lettering
    from imgcls_jax.report.cells import NO_LABEL
    from imgcls_jax.report.sheets import overlay, prediction_sheet

    shown, judgements = zip(*judged, strict=True)
    images = np.stack([prediction.image for prediction in shown])
    probabilities = np.stack([prediction.probabilities for prediction in shown])
    if notice := lettering.lacking(network.class_names):
        print(notice, file=sys.stderr)
    decided = None
    if asked.labels or asked.decides:
        masks = np.zeros(probabilities.shape, bool)
        for mask, (decision, chosen) in zip(masks, judgements, strict=True):
            if asked.labels:
                mask[list(chosen)] = True
            elif decision is not None:
                mask[decision] = True
        decided = masks, NO_LABEL if asked.labels else UNKNOWN
    overlays = None
    if _SALIENCY.value:
        best = probabilities.argmax(axis=1)
        classes = [
            b if j.decision is None else j.decision for b, j in zip(best, judgements, strict=True)
        ]
        cams = np.asarray(network.grad_cam(images, np.array(classes)))
        overlays = np.stack([overlay(image, cam) for image, cam in zip(images, cams, strict=True)])
    return prediction_sheet(
        images,
        probabilities,
        network.class_names,
        [os.path.join(*Path(prediction.path).parts[-2:]) for prediction in shown],
        _GRID.value,
        decided=decided,
        overlays=overlays,
        title=f"Predictions ({len(shown):,} of {done:,} pictures)"
        if len(shown) < done
        else "Predictions",
    )


if __name__ == "__main__":
    cli.run(main, takes_arguments=True)
