"""Figures from saved results: plain arrays and dictionaries in, one PNG file out.

Every public function draws one figure, writes it atomically (a reader never sees half a file),
returns its path, and raises :class:`~imgcls_jax.errors.UserError` where the file cannot be written.
Figures are made with Matplotlib's object-oriented API, so no global state is changed and threads
may draw at the same time. Matplotlib is imported only when a figure is drawn.

Images are uint8, (N, H, W, 1) or (N, H, W, 3). Grey ones are drawn dark on white (Matplotlib's
``gray_r``, also called ``binary``), as the documented runs draw them.
"""

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from imgcls_jax.errors import UserError

DPI = 130
_INK, _FAINT, _RIGHT, _WRONG = "#222222", "#9aa0a6", "#2e7d4f", "#b3302a"
_PALETTE = {"train": "#1f5a94", "validation": "#d9661f", "": _INK}


def learning_curves(history: Sequence[Mapping], path: str | os.PathLike) -> Path:
    """Loss and accuracy against epoch, with the best validation epoch marked.

    Args:
      history: one mapping an epoch with `epoch`, `train_loss`, `train_accuracy` and, where there is
        a validation split, `validation_loss`, `validation_accuracy`. `learning_rate` gets a panel
        of its own if it varies.
      path: the PNG file to write.
    """
    panels = {
        key.capitalize(): {"train": f"train_{key}", "validation": f"validation_{key}"}
        for key in ("loss", "accuracy")
    }
    if len({row.get("learning_rate") for row in history}) > 1:
        panels["Learning rate"] = {"": "learning_rate"}
    figure = _figure(5.2 * len(panels), 4.2)
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
            axes.axvline(epoch, color=_FAINT, linestyle=":", linewidth=1.2, zorder=0, label=label)
        axes.set_xlabel("Epoch", fontsize=11)
        axes.set_title(title, fontsize=12, loc="left")
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.grid(axis="y", color="#e6e6e6")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    handles, names = all_axes[1].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper right", ncols=3, frameon=False, fontsize=10)
    return _save(figure, path)


def best_epoch(history: Sequence[Mapping]) -> tuple[int, float] | None:
    """Epoch and value of the highest validation accuracy, the earliest of equals; None if none."""
    points = _series(history, "validation_accuracy")
    if not len(points):
        return None
    epoch, accuracy = points[np.argmax(points[:, 1])]
    return int(epoch), float(accuracy)


def confusion_matrix(
    cm: np.ndarray,
    class_names: Sequence[str],
    path: str | os.PathLike,
    title: str = "Confusion matrix",
) -> Path:
    """Heat map of counts, rows true and columns predicted; colour is each row's fraction.

    Up to 25 classes the counts stand in the cells, up to 120 the axes carry every class name.

    Args:
      cm: (C, C) counts.
      class_names: C names.
      path: the PNG file to write.
      title: what the counts are of.
    """
    cm = np.asarray(cm)
    classes = len(cm)
    fractions = cm / np.maximum(cm.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(0.62 * classes, 2.6, 9.0 if classes <= 25 else 11.0))
    cell_points = 72 * side / classes
    font = float(np.clip(0.82 * cell_points, 5.0, 10.0))
    names = [shorten(name, 24) for name in class_names]
    name_inches = max(map(len, names)) * 0.6 * font / 72
    width = max(side + name_inches + 1.3, 0.095 * len(title) + 0.2)
    figure = _figure(width, side + 0.75 * name_inches + 0.85)
    axes = figure.add_subplot()
    image = axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    if classes <= 25:
        count_font = min(9.5, 0.85 * cell_points / (0.65 * len(str(cm.max()))))
        for (row, column), count in np.ndenumerate(cm):
            color = "white" if fractions[row, column] > 0.55 else _INK if count else "#c4c8cc"
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
    return _save(figure, path)


def prediction_grid(
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    path: str | os.PathLike,
    *,
    rows: int = 5,
    columns: int = 5,
) -> Path:
    """The first rows x columns images, each with its three most probable classes.

    The predicted class stands above an image, in green if right, in red with the truth if wrong.

    Args:
      images: (N, H, W, 1 or 3) uint8.
      labels: (N,) true classes.
      probabilities: (N, C), rows summing to one.
      class_names: C names.
      path: the PNG file to write.
      rows: most rows to draw; fewer images take fewer.
      columns: images a row.
    """
    shown = np.arange(min(len(images), rows * columns))
    wrong = int((np.argmax(probabilities[shown], axis=1) != labels[shown]).sum())
    title = f"Predictions ({len(shown) - wrong} of {len(shown)} right)"
    return _draw_predictions(
        images, labels, probabilities, class_names, path, shown=shown, columns=columns, title=title
    )


def most_confident_mistakes(
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    path: str | os.PathLike,
    *,
    rows: int = 5,
    columns: int = 5,
) -> Path:
    """The wrong predictions with the highest probability, most confident first.

    Arguments are those of :func:`prediction_grid`. Without a mistake the figure says so.
    """
    wrong = confident_mistakes(labels, probabilities)
    if not len(wrong):
        figure = _figure(6.0, 1.6)
        message = f"No mistakes among {len(labels):,} examples"
        figure.text(0.5, 0.5, message, fontsize=14, color=_RIGHT, ha="center", va="center")
        return _save(figure, path)
    shown = wrong[: rows * columns]
    title = f"Most confident mistakes ({len(shown)} of {len(wrong):,})"
    return _draw_predictions(
        images, labels, probabilities, class_names, path, shown=shown, columns=columns, title=title
    )


def confident_mistakes(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Indices of the wrong predictions, highest probability first, equal ones in data order."""
    predicted = np.argmax(probabilities, axis=1)
    wrong = np.flatnonzero(predicted != labels)
    return wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")]


def sample_image(image: np.ndarray, label_name: str, path: str | os.PathLike) -> Path:
    """One (H, W, 1 or 3) uint8 image with pixel axes and, if grey, its colour bar from 0 to 255."""
    figure = _figure(4.8, 4.0)
    axes = figure.add_subplot()
    if image.shape[-1] == 1:
        drawn = axes.imshow(image[..., 0], cmap="binary", vmin=0, vmax=255)
        figure.colorbar(drawn, ax=axes, ticks=[0, 50, 100, 150, 200, 255])
    else:
        axes.imshow(image)
    axes.set_title(shorten(label_name, 40), fontsize=12, parse_math=False)
    return _save(figure, path)


def sample_row(
    images: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    path: str | os.PathLike,
    *,
    count: int = 10,
) -> Path:
    """The first `count` images in a row, each above its class name."""
    tiles = display_tiles(images[:count])
    height, width = tiles.shape[1:3]
    cell = (height + 32, width + 24)
    figure, axes = _sheet(mosaic(tiles, len(tiles), cell=cell, offset=(6, 12)))
    for position, label in enumerate(labels[: len(tiles)]):
        words, x = shorten(class_names[label], 15), (position + 0.5) * cell[1]
        _text(axes, x, height + 12, words, ha="center", va="top", fontsize=9)
    return _save(figure, path)


def reliability_diagram(calibration: Mapping, path: str | os.PathLike) -> Path:
    """Accuracy against confidence, bin by bin (Guo et al. 2017).

    Args:
      calibration: what :func:`imgcls_jax.metrics.calibration` returns: `ece` and `bins`, each bin
        with `count`, `confidence` and `accuracy`.
      path: the PNG file to write.
    """
    used = [entry for entry in calibration["bins"] if entry["count"]]
    columns = [[entry[key] for entry in used] for key in ("confidence", "accuracy", "count")]
    confidence, accuracy, counts = (np.array(column) for column in columns)
    figure = _figure(4.8, 4.6)
    axes = figure.add_subplot(aspect="equal", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.plot([0, 1], [0, 1], color=_FAINT, linestyle=":", label="perfectly calibrated")
    axes.plot(confidence, accuracy, color=_PALETTE["train"], linewidth=1.2)
    # Area grows with a bin's examples: a bin of five that lies far off matters little.
    sizes = 14 + 500 * counts / counts.sum()
    label = "a bin, area by examples"
    axes.scatter(confidence, accuracy, sizes, color=_PALETTE["train"], label=label, zorder=3)
    axes.set_xlabel("Confidence", fontsize=11)
    axes.set_ylabel("Accuracy", fontsize=11)
    title = f"Calibration (expected error {calibration['ece']:.4f})"
    axes.set_title(title, fontsize=12, loc="left")
    for handle in axes.legend(frameon=False, fontsize=10, loc="upper left").legend_handles[1:]:
        handle.set_sizes([30])
    axes.spines[["top", "right"]].set_visible(False)
    return _save(figure, path)


def display_tiles(images: np.ndarray, side: int = 140) -> np.ndarray:
    """Images as they appear in a grid: (n, h, w, 3) uint8, about `side` pixels wide.

    Small images grow by a whole factor, so that each pixel stays a square; others are resampled.
    Grey ones become dark on white.

    Args:
      images: (n, H, W, 1 or 3) uint8.
      side: width to aim at.
    """
    from PIL import Image

    if images.shape[-1] == 1:
        images = np.repeat(255 - images, 3, axis=-1)
    height, width = images.shape[1:3]
    if 3 * width <= side:
        factor = side // width
        return images.repeat(factor, axis=1).repeat(factor, axis=2)
    size = (side, max(1, round(side * height / width)))
    return np.stack([np.asarray(Image.fromarray(image).resize(size)) for image in images])


def mosaic(
    tiles: np.ndarray, columns: int, *, cell: tuple[int, int], offset: tuple[int, int]
) -> np.ndarray:
    """Pastes tiles row by row into a white sheet of equal cells.

    One sheet draws many times faster than a Matplotlib axes an image.

    Args:
      tiles: (n, h, w, 3) uint8.
      columns: cells a row.
      cell: height and width of a cell, at least offset + (h, w).
      offset: where in its cell a tile's top left corner lies.

    Returns:
      (ceil(n / columns) * cell height, columns * cell width, 3) uint8.
    """
    count, height, width = tiles.shape[:3]
    rows = -(-count // columns)
    sheet = np.full((rows * columns, *cell, 3), 255, np.uint8)
    top, left = offset
    sheet[:count, top : top + height, left : left + width] = tiles
    sheet = sheet.reshape(rows, columns, *cell, 3).swapaxes(1, 2)
    return sheet.reshape(rows * cell[0], columns * cell[1], 3)


def shorten(text: str, length: int) -> str:
    """The text, or its beginning and an ellipsis, in at most `length` characters."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def _draw_predictions(images, labels, probabilities, class_names, path, *, shown, columns, title):
    """A sheet of cells, each an image and, beside it, bars of its most probable classes."""
    from matplotlib.collections import PolyCollection

    tiles = display_tiles(images[shown])
    height, width = tiles.shape[1:3]
    # All in device pixels: room for the heading above an image, for the bars to its right.
    head, bar_left, bar_width, slot = 34, width + 14, 146, height / 3
    cell = (head + height + 22, bar_left + bar_width + 38)
    margin, banner = 20, 40
    sheet = mosaic(tiles, min(columns, len(shown)), cell=cell, offset=(head, margin))
    figure, axes = _sheet(np.pad(sheet, ((banner, 0), (0, 0), (0, 0)), constant_values=255))
    _text(axes, margin, banner / 2, title, va="center", fontsize=12)
    bars, bar_colors, frames, frame_colors = [], [], [], []
    for position, index in enumerate(shown):
        row, column = divmod(position, columns)
        x, y = column * cell[1] + margin, row * cell[0] + banner + head
        ranked = np.argsort(-probabilities[index], kind="stable")[:3]
        predicted, true = ranked[0], labels[index]
        color = _RIGHT if predicted == true else _WRONG
        heading = shorten(class_names[predicted], 26)
        if predicted != true:
            names = (shorten(class_names[chosen], 14) for chosen in (predicted, true))
            heading = "{} (true: {})".format(*names)
        _text(axes, x, y - 8, heading, color=color, va="bottom", fontsize=9)
        frames.append(_box(x, y, width, height))
        frame_colors.append(color)
        for place, chosen in enumerate(ranked):
            left, top = x + bar_left, y + (place + 0.56) * slot
            filled = bar_width * float(probabilities[index, chosen])
            bars += [_box(left, top, bar_width, 10), _box(left, top, filled, 10)]
            bar_colors += ["#eceef0", _RIGHT if chosen == true else _FAINT if place else _WRONG]
            words = f"{shorten(class_names[chosen], 15)}: {probabilities[index, chosen]:.0%}"
            _text(axes, left, top - 3, words, va="bottom", fontsize=7.5)
    axes.add_collection(PolyCollection(bars, facecolors=bar_colors), autolim=False)
    outlines = PolyCollection(frames, facecolors="none", edgecolors=frame_colors, linewidths=1.2)
    axes.add_collection(outlines, autolim=False)
    return _save(figure, path)


def _box(x: float, y: float, width: float, height: float) -> list[tuple[float, float]]:
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]


def _text(axes, x, y, words, *, color=_INK, **style):
    axes.text(x, y, words, color=color, parse_math=False, **style)  # a class may be "$1 coin"


def _sheet(pixels: np.ndarray):
    """A figure of exactly these pixels, and axes over it in pixels from the top left corner."""
    height, width = pixels.shape[:2]
    figure = _figure(width / DPI, height / DPI, layout=None)
    figure.figimage(pixels, origin="upper", zorder=-1)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    return figure, axes


def _figure(width: float, height: float, layout: str | None = "constrained"):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _series(history: Sequence[Mapping], key: str) -> np.ndarray:
    """(n, 2) epochs and finite values of one column, which need not be in every epoch."""
    points = [(row["epoch"], row[key]) for row in history if row.get(key) is not None]
    points = np.array(points, np.float64).reshape(-1, 2)
    return points[np.isfinite(points[:, 1])]


def _save(figure, path: str | os.PathLike) -> Path:
    """Writes beside the path and renames: the file is there whole or as it was before."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            figure.savefig(partial, format="png")
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"Cannot write the figure {path} ({error.strerror}); give a folder that can be written."
        ) from error
    return path
