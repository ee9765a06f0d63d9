"""Charts of saved results: plain arrays and dictionaries in, one PNG file or figure out.

Every function that takes a path draws one figure, writes it atomically (a reader never sees half a
file), returns its path, and raises :class:`~imgcls_jax.errors.UserError` where the file cannot be
written. Without a path it returns the figure, which a notebook shows.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from imgcls_jax.metrics import drawn_classes, members, scores
from imgcls_jax.report.figure import FAINT, INK, Drawn, Target, finish, new_figure, shorten_names

_COLORS = ("#1f5a94", "#d9661f", "#2e7d4f", "#b3302a", "#7b4fa3", "#8c6d1f", "#1f8a94", "#c2558e")
_NAMED = len(_COLORS)  # curves with a name and a colour; of more classes the worst ones
_PALETTE = {"train": "#1f5a94", "validation": "#d9661f", "test": "#2e7d4f", "": INK}


def learning_curves(history: Sequence[Mapping], path: Target = None) -> Drawn:
    """Draws loss and accuracy against epoch, with the best validation epoch marked.

    Args:
      history: one mapping per epoch with `epoch`, `train_loss`, `train_accuracy` and, of the split
        evaluated after it, `validation_loss`, `validation_accuracy` or `test_loss`,
        `test_accuracy`; without any the legend says so. `learning_rate` gets a panel of its own
        if it varies.
      path: the PNG file to write.
    """
    panels = {
        key.capitalize(): {of: f"{of}_{key}" for of in ("train", "validation", "test")}
        for key in ("loss", "accuracy")
    }
    if len({row.get("learning_rate") for row in history}) > 1:
        panels["Learning rate"] = {"": "learning_rate"}
    figure = new_figure(5.2 * len(panels), 4.2)
    best = best_epoch(history)
    all_axes = figure.subplots(1, len(panels))
    for axes, (title, lines) in zip(all_axes, panels.items(), strict=True):
        for name, column in lines.items():
            points = _series(history, column)
            # A line through one point is invisible, and markers on a hundred points are a smear.
            style = {"color": _PALETTE[name], "marker": "o" if len(points) <= 30 else None}
            if len(points):
                axes.plot(*points.T, markersize=4, label=name, **style)
        if best is not None:
            epoch, accuracy = best
            label = f"best validation: {accuracy:.4f} in epoch {epoch}"
            axes.axvline(epoch, color=FAINT, linestyle=":", linewidth=1.2, zorder=0, label=label)
        axes.set_xlabel("Epoch", fontsize=11)
        axes.set_title(title, fontsize=12, loc="left")
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.grid(axis="y", color="#e6e6e6")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    if not any(len(_series(history, f"{of}_accuracy")) for of in ("validation", "test")):
        all_axes[1].plot([], [], linestyle="", label="no validation split")
    handles, names = all_axes[1].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper right", ncols=3, frameon=False, fontsize=10)
    return finish(figure, path)


def best_epoch(history: Sequence[Mapping]) -> tuple[int, float] | None:
    """Returns epoch and value of the highest validation accuracy, the first of equals, or None."""
    points = _series(history, "validation_accuracy")
    if not len(points):
        return None
    epoch, accuracy = points[np.argmax(points[:, 1])]
    return int(epoch), float(accuracy)


def _series(history: Sequence[Mapping], key: str) -> np.ndarray:
    """Returns epochs and finite values (n, 2) of one column, which not every epoch need have."""
    points = [(row["epoch"], row[key]) for row in history if row.get(key) is not None]
    points = np.array(points, np.float64).reshape(-1, 2)
    return points[np.isfinite(points[:, 1])]


def confusion_matrix(
    cm: np.ndarray,
    class_names: Sequence[str],
    path: Target = None,
    title: str = "Confusion matrix",
) -> Drawn:
    """Draws counts as a heat map, true classes in rows; the colour is the fraction of the row.

    Up to 25 classes the counts stand in the cells, up to 120 the axes carry every class name.

    Args:
      cm: (C, C) counts.
      class_names: C names.
      path: the PNG file to write.
      title: of the chart.
    """
    cm = np.asarray(cm)
    classes = len(cm)
    fractions = cm / np.maximum(cm.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(0.62 * classes, 2.6, 9.0 if classes <= 25 else 11.0))
    cell_points = 72 * side / classes
    font = float(np.clip(0.82 * cell_points, 5.0, 10.0))
    names = shorten_names(class_names, 24)
    name_inches = max(map(len, names)) * 0.6 * font / 72
    width = max(side + name_inches + 1.3, 0.095 * len(title) + 0.2)
    figure = new_figure(width, side + 0.75 * name_inches + 0.85)
    axes = figure.add_subplot()
    image = axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    if classes <= 25:
        count_font = min(9.5, 0.85 * cell_points / (0.65 * len(str(cm.max()))))
        for (row, column), count in np.ndenumerate(cm):
            color = "white" if fractions[row, column] > 0.55 else INK if count else "#c4c8cc"
            text = axes.text(column, row, str(count), fontsize=count_font, color=color)
            text.set(ha="center", va="center", in_layout=False)
    if classes <= 120:
        style = {"rotation": 45 if classes <= 25 else 90, "rotation_mode": "anchor"}
        axes.set_xticks(range(classes), names, ha="right", va="center", **style)
        axes.set_yticks(range(classes), names)
        axes.tick_params(labelsize=font)
        for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
            label.set_parse_math(False)
    axes.tick_params(length=0)
    axes.set_xlabel("Predicted", fontsize=11)
    axes.set_ylabel("True", fontsize=11)
    figure.suptitle(title, x=0.02, ha="left", fontsize=12)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, aspect=30, pad=0.02)
    bar.set_label("Fraction of the true class", fontsize=10)
    bar.outline.set_visible(False)
    return finish(figure, path)


def precision_recall(
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    path: Target = None,
) -> Drawn:
    """Draws precision against recall at every threshold, and the average precision of each class.

    Arguments are those of :func:`scores`, and the PNG file to write.
    """
    from sklearn.metrics import precision_recall_curve

    def curve(positive, score):
        precision, recall, _ = precision_recall_curve(positive, score)
        return recall, precision

    title, steps = "Precision and recall", "steps-post"
    kind = _Kind(curve, "average_precision", "AP", title, "Recall", "Precision", steps)
    drawn = drawn_classes(labels, len(class_names))
    chance = [[0, 1], [float(members(labels, drawn[0]).mean())] * 2] if len(drawn) == 1 else None
    return _draw(kind, labels, probabilities, class_names, path, chance=chance)


def roc(
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    path: Target = None,
) -> Drawn:
    """Draws true against false positive rate at every threshold, and the area under the curves.

    Arguments are those of :func:`scores`, and the PNG file to write.
    """
    from sklearn.metrics import roc_curve

    def curve(positive, score):
        false, true, _ = roc_curve(positive, score)
        return false, true

    title = "ROC curves" if len(class_names) > 2 else "ROC curve"
    kind = _Kind(curve, "roc_auc", "AUC", title, "False positive rate", "True positive rate")
    return _draw(kind, labels, probabilities, class_names, path, chance=[[0, 1], [0, 1]])


def class_counts(
    counts: Mapping[str, Sequence[int]],
    class_names: Sequence[str],
    path: Target = None,
    *,
    photos: Mapping[str, int] | None = None,
) -> Drawn:
    """Draws the examples of each class as bars, largest class first, one colour per split.

    Up to 60 classes every bar has its name; of more the axis counts the classes.

    Args:
      counts: by name of the split, C counts.
      class_names: C names.
      path: the PNG file to write.
      photos: how many each split has, where they may have several labels.
    """
    table = np.array(list(counts.values()))
    order = np.argsort(-table.sum(axis=0), kind="stable")
    totals, classes = table.sum(axis=0)[order], len(order)
    named = classes <= 60
    figure = new_figure(7.0, max(2.4, 1.3 + 0.22 * classes) if named else 6.0)
    axes = figure.add_subplot()
    left = np.zeros(classes)
    for (name, row), color in zip(counts.items(), _COLORS, strict=False):
        row = np.asarray(row)[order]
        label = f"{name} ({photos[name]:,} photos)" if photos else f"{name} ({row.sum():,})"
        height = 0.78 if named else 1.0
        axes.barh(range(classes), row, height, left=left, color=color, label=label)
        left += row
    if named:
        names = shorten_names(class_names, 28)
        axes.set_yticks(range(classes), [names[c] for c in order])
        for position, total in enumerate(totals):
            style = {"textcoords": "offset points", "va": "center", "fontsize": 8, "color": INK}
            axes.annotate(f"{total:,}", (total, position), (4, 0), **style)
        for label in axes.get_yticklabels():
            label.set_parse_math(False)
        axes.tick_params(axis="y", length=0, labelsize=9)
    else:
        axes.set_ylabel(f"{classes} classes, largest first", fontsize=11)
        axes.set_yticks([])
    axes.set(ylim=(classes - 0.4, -0.6), xlim=(0, 1.08 * max(totals.max(), 1)))
    what, of = ("Photos", "label") if photos else ("Examples", "class")
    axes.set_xlabel(what, fontsize=11)
    axes.set_title(f"{what} per {of}{_imbalance(counts)}", fontsize=12, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    if len(counts) > 1:
        figure.legend(frameon=False, fontsize=10, loc="outside lower center", ncols=len(counts))
    return finish(figure, path)


def _imbalance(counts: Mapping[str, Sequence[int]]) -> str:
    """Says how much larger the largest class is, in training where there is such a split."""
    of = "train" if "train" in counts else next(iter(counts))
    most, least = max(counts[of]), min(counts[of])
    return f" ({of}: largest to smallest {most / max(least, 1):.1f} : 1)" if most > least else ""


class _Kind(NamedTuple):
    """A kind of curve, and the words of its chart."""

    curve: Callable  # (positive (N,) bool, score (N,)) -> x, y
    score: str  # its figure's name in `scores`
    short: str  # and abbreviation
    title: str
    x: str
    y: str
    steps: str = "default"  # Matplotlib's drawstyle


def _draw(kind: _Kind, labels, probabilities, class_names, path, *, chance: list | None) -> Drawn:
    """Draws one curve per class; of many the worst are named, the others faint behind them."""
    figures = scores(labels, probabilities, class_names)
    ranked = sorted(
        drawn_classes(labels, len(class_names)),
        key=lambda c: figures["classes"][class_names[c]][kind.score],
    )
    names = shorten_names(class_names, 24)
    figure = new_figure(6.8, 4.6)
    axes = figure.add_subplot(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    if chance is not None:
        axes.plot(*chance, color=FAINT, linestyle=":", linewidth=1.2, label="chance")
    for place, c in enumerate(ranked):
        x, y = kind.curve(members(labels, c), probabilities[:, c])
        style = {"color": "#d5d9de", "linewidth": 0.8, "zorder": 1}
        if place < _NAMED:
            value = figures["classes"][class_names[c]][kind.score]
            label = f"{names[c]}  {kind.short} {value:.3f}"
            style = {"color": _COLORS[place], "linewidth": 1.6, "zorder": 3, "label": label}
        axes.plot(x, y, drawstyle=kind.steps, **style)
    if not ranked:
        words = "needs examples of at least two classes"
        axes.text(0.5, 0.5, words, ha="center", color=FAINT, fontsize=12)
    axes.set_xlabel(kind.x, fontsize=11)
    axes.set_ylabel(kind.y, fontsize=11)
    mean = f"  (mean {kind.short} {figures[kind.score]:.3f})" if len(ranked) > 1 else ""
    axes.set_title(kind.title + mean, fontsize=12, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    if ranked or chance:
        found = {figures["classes"][class_names[c]][kind.score] for c in ranked}
        which = "worst" if len(found) > 1 else "first"
        heading = f"{which} {_NAMED} of {len(ranked)} classes" if len(ranked) > _NAMED else None
        legend = figure.legend(
            loc="outside right upper", frameon=False, fontsize=8.5, title=heading, title_fontsize=9
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
    return finish(figure, path)
