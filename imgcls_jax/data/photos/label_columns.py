"""Which columns of a table of labels are the photos' paths, their labels and their split.

The path is the column that is called as people call it, else the first one. All others are
labels, of 0 and 1, unless one is called as a column of labels is and holds something else: the rest
are then of no use here, such as the sizes of the photos, or the number that pandas gives each row.
"""

from collections.abc import Sequence

_PATH_NAMES = (  # the first that is there
    "path paths filepath file_path filename file_name file files image_path img_path image_name "
    "img_name image images img photo picture image_id imageid id name"
)
_LABEL_NAMES = (
    "label labels class classes class_name class_id target targets category categories breed "
    "species diagnosis dx tag tags"
)
_PATHS, _LABELS = _PATH_NAMES.split(), _LABEL_NAMES.split()
_ROW_NUMBERS = ("", "unnamed:_0", "__index_level_0__", "index")  # as pandas writes them
_SPLIT = "split"


def find(columns: Sequence[str], first: Sequence[str]) -> tuple[int, list[int], int | None]:
    """Finds the places of the path, of the labels and of the split, None where there is no split.

    Args:
      columns: their names.
      first: the cells of the first row.
    """
    named = ["_".join(name.casefold().split()) for name in columns]
    called = [named.index(name) for name in _PATHS if name in named]
    path = called[0] if called else 0
    if not called and named[0] in _LABELS and len(named) == 2:
        path = 1
    others = [place for place in range(len(named)) if place != path]
    split = next((place for place in others if named[place] == _SPLIT), None)
    rest = [place for place in others if place != split]
    if path > 0 and named[0] in _ROW_NUMBERS:
        rest.remove(0)
    labels = [place for place in rest if named[place] in _LABELS]
    if len(rest) > 1 and len(labels) == 1 and not _are_marks(first, rest):
        return path, labels, split
    return path, rest, split


def _are_marks(cells: Sequence[str], places: Sequence[int]) -> bool:
    return all(cells[place].strip() in ("0", "1") for place in places if place < len(cells))
