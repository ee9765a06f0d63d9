"""A figure that shows itself where a notebook's cell ends with it."""

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


class NotebookFigure(Figure):
    """A Matplotlib figure drawn by the Agg backend, whatever backend pyplot has or has not."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        FigureCanvasAgg(self)

    def _repr_png_(self) -> bytes:
        """Returns the figure as a PNG file: IPython asks an object for it under this name."""
        stream = io.BytesIO()
        self.savefig(stream, format="png")
        return stream.getvalue()
