"""The chart of a search for a learning rate: losses against growing rates."""

from collections.abc import Mapping

import numpy as np

from imgcls_jax.report.figure import FAINT, INK, Drawn, Target, finish, new_figure

_COLORS = ("#d9661f", "#2e7d4f")


def losses_by_rate(
    rates: np.ndarray,
    losses: np.ndarray,
    smoothed: np.ndarray,
    suggestions: Mapping[str, float],
    path: Target = None,
) -> Drawn:
    """Draws the losses (N,) of batches, and smoothed ones (N,), against learning rates (N,).

    Args:
      suggestions: rates that are marked, by their names; two at most have colours of their own.
      path: the PNG file to write.

    Raises:
      UserError: if it cannot be written.
    """
    figure = new_figure(6.4, 4.2)
    axes = figure.subplots()
    axes.plot(rates, losses, color=FAINT, linewidth=0.8, label="a batch")
    axes.plot(rates, smoothed, color=INK, linewidth=1.8, label="smoothed")
    for (name, rate), color in zip(suggestions.items(), _COLORS, strict=False):
        label = f"{name}: {rate:.2g}"
        axes.axvline(rate, color=color, linestyle="--", linewidth=1.4, label=label)
    axes.set_xscale("log")
    # Beyond the start a diverging loss would press the rest flat.
    low, high = float(smoothed.min()), float(smoothed[0])
    room = 0.15 * max(high - low, 1e-6)
    axes.set_ylim(min(low, float(losses.min())) - room, high + 3 * room)
    axes.set_xlabel("Learning rate", fontsize=11)
    axes.set_title("Training loss at a growing learning rate", fontsize=12, loc="left")
    axes.grid(axis="y", color="#e6e6e6")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=10)
    return finish(figure, path)
