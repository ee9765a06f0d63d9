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
        """Returns the figure as a PNG file: IPython asks an object for it under this name.

        It is compressed as far as that goes, since a notebook keeps it.
        """
        from PIL import Image

        drawn, packed = io.BytesIO(), io.BytesIO()
        self.savefig(drawn, format="png")
        Image.open(drawn).convert("RGB").save(packed, "PNG", optimize=True)
        return packed.getvalue()
