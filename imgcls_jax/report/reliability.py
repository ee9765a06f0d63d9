"""How often predictions of a confidence are right: one curve, or a few beside each other.

Files are written, returned and refused as in `imgcls_jax.report.charts`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from imgcls_jax.report.figure import FAINT, Drawn, Target, finish, new_figure

_COLORS = ("#1f5a94", "#d9661f", "#2e7d4f")


def reliability_diagram(curves: Mapping[str, Mapping[str, Any]], path: Target = None) -> Drawn:
    """Draws accuracy against confidence, bin by bin (Guo et al. 2017).

    Args:
      curves: by name, what :func:`imgcls_jax.metrics.calibration` returns: `ece` and `bins`, each
        bin with `count`, `confidence` and `accuracy`; up to three.
      path: the PNG file to write.
    """
    figure = new_figure(4.8, 5.1 + 0.2 * (len(curves) - 1))
    axes = figure.add_subplot(aspect="equal", xlim=(0, 1.05), ylim=(0, 1.05))
    axes.plot([0, 1], [0, 1], color=FAINT, linestyle=":", label="perfectly calibrated")
    for (name, calibration), color in zip(curves.items(), _COLORS, strict=False):
        used = [entry for entry in calibration["bins"] if entry["count"]]
        columns = [[entry[key] for entry in used] for key in ("confidence", "accuracy", "count")]
        confidence, accuracy, counts = (np.array(column, np.float64) for column in columns)
        label = f"{name}: expected error {calibration['ece']:.4f}"
        axes.plot(confidence, accuracy, color=color, linewidth=1.2, label=label)
        # Area grows with a bin's examples: a bin of five that lies far off matters little.
        sizes = 14 + 500 * counts / counts.sum()
        style = {"color": color, "linewidth": 0, "zorder": 3, "clip_on": False}
        axes.scatter(confidence, accuracy, sizes, **style)
    axes.set_xlabel("Confidence", fontsize=11)
    axes.set_ylabel("Accuracy", fontsize=11)
    axes.set_title("Calibration (area of a bin by its examples)", fontsize=12, loc="left")
    # Below the axes: where the curve leaves room within them depends on the network.
    figure.legend(loc="outside lower center", frameon=False, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    return finish(figure, path)
