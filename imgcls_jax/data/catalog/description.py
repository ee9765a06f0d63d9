"""What a data set is, told before any of its examples is read."""

import dataclasses
from collections.abc import Mapping

SMALL = 96  # pixels per side up to which images of one size are kept as they are


@dataclasses.dataclass(frozen=True, kw_only=True)
class Description:
    """A data set as its publisher or its prepared folder tells it.

    Attributes:
      name: as `data.load` takes it, with its configuration.
      version: None where there is none.
      class_names: in the order of the label indices.
      counts: examples of each split; empty where nothing tells them before it is prepared.
      image_shape: (H, W, C); None for sides that vary.
      download_bytes: size of what is downloaded to prepare it; None where unknown.
      licence, homepage, citation: empty where nothing is told.
      remarks: sentences that a reader should know.
    """

    name: str
    version: str | None
    class_names: tuple[str, ...]
    counts: Mapping[str, int]
    image_shape: tuple[int | None, int | None, int]
    download_bytes: int | None = None
    licence: str = ""
    homepage: str = ""
    citation: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def photos(self) -> bool:
        """True where the sides of the images vary or exceed 96 pixels."""
        return any(side is None or side > SMALL for side in self.image_shape[:2])
