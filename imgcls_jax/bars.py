"""Progress bars: lines on a terminal, widgets in a notebook, nothing elsewhere."""

import os
import sys
import warnings

if "IPython" in sys.modules:
    with warnings.catch_warnings():  # of ipywidgets that are missing: then there are no bars
        warnings.filterwarnings("ignore", "IProgress not found")
        from tqdm.auto import tqdm
else:  # the same bars, imported sooner
    from tqdm import tqdm

__all__ = ["can_be_shown", "tqdm"]


def can_be_shown() -> bool:
    """Returns whether bars can be drawn: as a notebook's widgets, or on standard error."""
    if any(kind.__module__ == "tqdm.notebook" for kind in tqdm.__mro__):
        return True
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
