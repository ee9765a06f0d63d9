"""An inspection of photos as a report, a few lines of text, and contact sheets."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_jax.config import Config
from imgcls_jax.doctor import copies, outliers, quality
from imgcls_jax.doctor.album import Album
from imgcls_jax.doctor.copies import Pairs
from imgcls_jax.doctor.findings import KINDS, Finding, chosen, copy_and_original
from imgcls_jax.doctor.inspection import Inspection
from imgcls_jax.report import console
from imgcls_jax.report.contact_sheets import contact_sheet, pair_sheet
from imgcls_jax.workdir import environment

_SHOWN, _PAIRS, _EXAMPLES = 36, 24, 12  # photos and pairs per sheet, and beside the threshold


def show_album(album: Album) -> None:
    """Prints how many photos there are, and the sizes of the classes."""
    counts = album.folder.counts()
    totals = ", ".join(f"{of.sum():,} {split}" for split, of in counts.items())
    sizes = sum(counts.values())
    least, most = int(sizes.argmin()), int(sizes.argmax())
    names = album.class_names
    of = f"of {sizes[least]:,} ({names[least]}) to {sizes[most]:,} photos ({names[most]})"
    if sizes[least] == sizes[most]:
        of = f"each of {sizes[most]:,} photos"
    console.pairs({"photos": totals, "classes": f"{len(names)}, {of}"})


def report(
    album: Album, found: Inspection, rows: Sequence[Finding], config: Config
) -> dict[str, Any]:
    """Returns the figures of an inspection, as JSON can hold them."""
    pairs = found.compared.copies()
    across = int((album.splits[pairs.first] != album.splits[pairs.second]).sum())
    two = int((album.labels[pairs.first] != album.labels[pairs.second]).sum())
    kinds = Counter(row.kind for row in rows)
    counts = album.folder.counts()
    return {
        "photos": len(album),
        "classes": {
            name: {split: int(of[label]) for split, of in counts.items()}
            for label, name in enumerate(album.class_names)
        },
        "findings": {kind: kinds[kind] for kind in KINDS},
        "copies": {
            "pairs": len(pairs),
            "across_splits": across,
            "under_two_labels": two,
            "groups": int((np.bincount(found.groups) > 1).sum()),
        },
        "accuracies": found.accuracies,
        "thresholds": {
            "copy": copies.COPY,
            "outlier": outliers.UNUSUAL,
            "blurred": quality.BLURRED,
            "dark": quality.DARK,
            "tiny": quality.TINY * album.images.shape[1],
        },
        "network": {
            "model": config.model.model,
            "weights": Path(str(config.model.weights)).name,
            "image_size": config.data.image_size,
        },
    } | environment()


def show(report: dict[str, Any]) -> None:
    """Prints what was found, and what near copies do to an accuracy."""
    console.heading("Findings")
    of = report["copies"]
    words = {
        "label": "labels probably wrong",
        "copy": "pairs of near copies",
        "outlier": "photos like no other",
    }
    lines = {words.get(kind, kind): f"{count:,}" for kind, count in report["findings"].items()}
    lines[words["copy"]] += (
        f", {of['across_splits']:,} across splits, {of['under_two_labels']:,} under two labels"
    )
    console.pairs(lines)
    accuracies = report["accuracies"]
    names = {"with_copies": "as it is", "without_copies": "without near copies on both sides"}
    if measured := {names[n]: f for n, f in accuracies.items() if n in names}:
        console.heading(f"Accuracy of a head on the features, by {accuracies['by']}")
        console.pairs(
            {
                name: "{accuracy:.4f} of {photos:,} photos, ".format(**figures)
                + "95 % interval [{:.4f}, {:.4f}]".format(*figures["interval"])
                for name, figures in measured.items()
            }
        )


def draw(album: Album, found: Inspection, folder: Path) -> list[Path]:
    """Draws a contact sheet for each kind of finding that there is; returns the files."""
    drawn = [*_suspects(album, found, folder), *_copies(album, found, folder)]
    sharp, bright, sides = found.quality
    words = {
        "outlier": ("Photos like no other", lambda i: f"{found.distances[i]:.1f} deviations"),
        "blurred": ("Blurred photos", lambda i: f"sharpness {sharp[i]:.1f}"),
        "dark": ("Dark photos", lambda i: f"brightness {bright[i]:.2f}"),
        "tiny": ("Tiny photos", lambda i: f"{sides[i]:.0f} pixels"),
    }
    for kind, indices in chosen(album, found).items():
        if not indices:
            continue
        title, measured = words[kind]
        shown = indices[:_SHOWN]
        lines = [(_label(album, i), measured(i), album.paths[i]) for i in shown]
        title = f"{title} ({len(shown):,} of {len(indices):,})"
        file = folder / f"{kind}.png"
        drawn.append(contact_sheet(album.images[shown], lines, file, title=title))
    return drawn


def _suspects(album: Album, found: Inspection, folder: Path) -> list[Path]:
    shown = found.suspects.indices[:_SHOWN]
    if not len(shown):
        return []
    lines = [
        (f"rather {album.class_names[likely]}", f"labelled {_label(album, i)}", album.paths[i])
        for i, likely in zip(shown, found.suspects.likely, strict=False)
    ]
    title = f"Labels probably wrong ({len(shown):,} of {len(found.suspects.indices):,})"
    return [contact_sheet(album.images[shown], lines, folder / "label.png", title=title)]


def _copies(album: Album, found: Inspection, folder: Path) -> list[Path]:
    """Draws near copies across splits and within, and the pairs beside the threshold."""
    pairs, drawn = found.compared.copies(), []
    across = album.splits[pairs.first] != album.splits[pairs.second]
    beyond = found.compared.agreements < copies.COPY
    below = found.compared.take(beyond & (found.compared.agreements > 0))
    last, first = np.arange(len(pairs))[-_EXAMPLES:], np.arange(len(below))[:_EXAMPLES]
    beside = Pairs(
        *(np.concatenate([a[last], b[first]]) for a, b in zip(pairs, below, strict=True))
    )
    sheets = {
        "copy_across": ("Near copies across splits", pairs.take(across), int(across.sum())),
        "copy": ("Near copies", pairs.take(~across), int((~across).sum())),
        "copy_threshold": (
            f"Either side of the threshold, {copies.COPY:g}: copies ({len(last)}), then others",
            beside,
            len(beside),
        ),
    }
    for name, (title, of, count) in sheets.items():
        of = of.take(np.arange(len(of))[:_PAIRS])
        if not len(of):
            continue
        ordered = [
            copy_and_original(album, *pair) for pair in zip(of.first, of.second, strict=True)
        ]
        lines = [
            (
                f"{agreement:.2f}{', mirrored' if mirrored else ''} (cosine {cosine:.2f})",
                f"{album.paths[copy]}",
                f"{album.paths[original]}",
            )
            for (copy, original), agreement, mirrored, cosine in zip(
                ordered, of.agreements, of.mirrored, of.cosines, strict=True
            )
        ]
        copy, original = (album.images[list(side)] for side in zip(*ordered, strict=True))
        title = title if name == "copy_threshold" else f"{title} ({len(of):,} of {count:,})"
        drawn.append(pair_sheet(copy, original, lines, folder / f"{name}.png", title=title))
    return drawn


def _label(album: Album, index: int) -> str:
    return album.class_names[album.labels[index]]
