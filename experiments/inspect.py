"""Looks through your photos: wrong labels, near copies, outliers, blurred, dark and tiny ones.

python -m experiments.inspect --data_dir=PHOTOS --model=mobilenet_v2 --weights=FILE --out=DIR
python -m experiments.inspect --data_dir=PHOTOS --apply=DIR/findings.csv
python -m experiments.inspect --data_dir=PHOTOS --undo=DIR
python -m experiments.transfer --data_dir=PHOTOS --inspected=DIR --group_by=copies

DIR gets findings.csv, a contact sheet for each kind of finding, copies.csv and report.json. Write
`exclude` or `move` into the column `action` of findings.csv where you agree (`to` names the class),
and apply it: DIR/corrections.csv then says what training with --inspected=DIR leaves out or labels
otherwise. Your photos stay as they are, but with --move_files; --undo takes either back.
"""

if __name__ == "__main__":  # before anything heavy is imported
    from experiments.cli.beginning import begin

    begin()

import json
from pathlib import Path

from absl import flags

from experiments.cli import flags as cli
from experiments.cli import inspection
from experiments.cli.out_flag import OUT
from experiments.presets import choose
from imgcls_jax import pretrained
from imgcls_jax.data.photos import folders, inspected
from imgcls_jax.doctor import album, findings, moving
from imgcls_jax.doctor.features import make_embed
from imgcls_jax.doctor.inspection import inspect
from imgcls_jax.errors import UserError, printable
from imgcls_jax.files import held, whole
from imgcls_jax.report import console
from imgcls_jax.train.waiting import waiting

_SETTINGS = ("model", "weights", "image_size", "resize")
cli.define_config_flags(_SETTINGS)
_APPLY = flags.DEFINE_string("apply", None, "findings.csv, edited, whose actions are to be applied")
_MOVE_FILES = flags.DEFINE_bool(
    "move_files", False, "with --apply: move the photos themselves; those left out to .excluded"
)
_UNDO = flags.DEFINE_string("undo", None, "folder of an inspection: take back what was applied")
_HELP = {"The inspection": ("data_dir", "out", *_SETTINGS, "apply", "move_files", "undo")}


def main() -> None:
    """Looks through the photos, applies an edited table or takes that back.

    Raises:
      UserError: for flags, files or photos that cannot be used.
    """
    data_dir = cli.photos_dir()
    if not data_dir:
        raise UserError("no photos are given; add --data_dir=PHOTOS, one folder per class.")
    if _APPLY.value and _UNDO.value:
        raise UserError("--apply and --undo are not for one command; give one.")
    if _MOVE_FILES.value and not _APPLY.value:
        raise UserError("--move_files is for --apply=findings.csv; give both or neither.")
    if not (_UNDO.value or _APPLY.value or OUT.value):
        raise UserError("no folder is given to write to; add --out=DIR.")
    table = Path(_APPLY.value or "").expanduser()
    out = Path(_UNDO.value or OUT.value or table.parent).expanduser()
    with held(out, setting="undo" if _UNDO.value else "out"):
        if _UNDO.value:
            _take_back(Path(data_dir).expanduser(), out)
        elif _APPLY.value:
            _apply(data_dir, table, out)
        else:
            _look(data_dir, out)


def _look(data_dir: str, out: Path) -> None:
    """Looks through the photos and writes what is found."""
    findings.require_unedited(out)
    config = choose.features(cli.given_settings())
    console.heading("Photos")
    pretrained.fetch(config.model.weights, config.model.model)  # before photos are read
    of = config.data
    looked = album.load(folders.scan(data_dir), size=of.image_size, how=of.square)
    inspection.show_album(looked)
    embed, network = make_embed(config, looked.images, num_classes=len(looked.class_names))
    features = embed(looked.images, f"features of {len(looked):,} photos")
    print(f"  features  {features.shape[1]:,} of each photo", flush=True)
    with waiting("comparing photos and fitting heads"):
        found = inspect(looked, features, network.model)
    rows = findings.findings(looked, found)
    table = findings.write(out, rows)
    inspected.write_groups(out, looked.paths, found.groups)
    report = inspection.report(looked, found, rows, config)
    with whole(out / "report.json") as partial:
        partial.write_text(json.dumps(report, indent=2) + "\n")
    inspection.show(report)
    console.paths("Contact sheets", map(str, inspection.draw(looked, found, out)))
    actions = f"{inspected.EXCLUDE} or {inspected.MOVE}"
    print(
        f"\nThe findings are in {printable(table)}: write {actions} into its column action where "
        f"you agree, then --apply={table}"
    )


def _apply(data_dir: str, table: Path, out: Path) -> None:
    """Applies the actions of an edited table."""
    folder = folders.scan(data_dir)
    corrections = findings.corrections(table, folder)
    excluded = sum(correction.action == inspected.EXCLUDE for correction in corrections)
    what = f"photos left out: {excluded:,}, of another class: {len(corrections) - excluded:,}"
    if _MOVE_FILES.value:
        count = moving.move(folder, corrections, out)
        print(f"{what}, moved: {count:,}; --undo={out} takes it back")
    else:
        inspected.write_corrections(out, corrections)
        print(f"{what}; train with --inspected={out}; --undo={out} takes it back")


def _take_back(root: Path, out: Path) -> None:
    """Takes back what was applied."""
    count, corrected = moving.take_back(root, out)
    files = f"{count:,} files moved back" if count else ""
    print(", ".join(filter(None, (files, "corrections removed" if corrected else ""))) or "done")


def _help() -> str:
    return cli.help_text(__doc__, _HELP)


if __name__ == "__main__":
    cli.run(main, help_of=_help)
