"""Faults of preparing TFDS' data sets without TensorFlow."""

from .fault import plant

_AS_TENSORFLOW = "data/preparing/test_as_tensorflow.py"
_ROOM = "imgcls_jax/data/catalog/preparing"

_JPEG = plant(
    f"{_ROOM}/jpeg.py",
    (_AS_TENSORFLOW,),
    transform_is_accurate=(
        "photos are decoded by the other cosine transform",
        "image.decoderconfig = (1, 1)",
        "image.decoderconfig = (1, 0)",
    ),
    colours_are_smoothed_otherwise=(
        "the colours of 4:2:0 are rounded another way",
        "(3 * rows + right + 7) >> 4",
        "(3 * rows + right + 8) >> 4",
    ),
    narrow_photos_are_smoothed=(
        "photos of one or two columns of colour are smoothed, which libjpeg does not",
        "wide = plane.shape[1] > 2",
        "wide = plane.shape[1] > 0",
    ),
    ink_is_not_ycck=(
        "photos stored as YCCK are taken for CMYK",
        'is_ycck = info.get("adobe_transform") == 2',
        "is_ycck = False",
    ),
)
_ENCODING = plant(
    f"{_ROOM}/encoding.py",
    (_AS_TENSORFLOW,),
    quality_is_pillows=(
        "photos are encoded at Pillow's quality",
        "quality: int = 95",
        "quality: int = 75",
    ),
)
_STAND_IN = plant(
    f"{_ROOM}/stand_in.py",
    ("data/preparing/test_stand_in.py",),
    stand_in_stays=("an imported TensorFlow is lost", "            place.update(before)\n", ""),
)
_QUIET = plant(
    "imgcls_jax/data/catalog/builder.py",
    ("data/preparing/test_prepare.py",),
    builders_leave_folders=(
        "TFDS leaves a folder of temporary files for every builder",
        "        if dataset_info.gcs_utils.gcs_dataset_info_files(info.full_name):\n",
        "        if info:\n",
    ),
)
_GFILE = plant(
    f"{_ROOM}/gfile.py",
    ("data/preparing/test_stand_in.py",),
    closed_files_stay_closed=(
        "a file that was closed cannot be read on",
        'if self._file.closed and name != "closed":',
        "if False:",
    ),
)
_EXTRACTION = plant(
    f"{_ROOM}/extraction.py",
    ("data/preparing/test_extraction.py",),
    readers_stay=("TFDS keeps our readers", "        table.update(before)\n", ""),
    parents_are_inside=(
        "a member may climb out of its folder",
        'path.is_absolute() or ".." in path.parts',
        "path.is_absolute()",
    ),
    hard_links_pass=("hard links are read", "member.issym() or member.islnk()", "member.issym()"),
    zip_links_pass=(
        "links in zip archives are read",
        "if stat.S_ISLNK(member.external_attr >> 16):",
        "if stat.S_ISLNK(member.external_attr):",
    ),
    streams_have_no_end=(
        "a stream may unpack to anything",
        "        if self._stream.tell() > self._most:",
        "        if self._stream.tell() < 0:",
    ),
    zips_have_no_end=(
        "a zip archive may unpack to anything",
        "if sum(member.file_size for member in packed.infolist()) > most:",
        "if max(member.file_size for member in packed.infolist()) > most * 10**9:",
    ),
)
_DOOR = plant(
    f"{_ROOM}/manager.py",
    ("data/preparing/test_prepare.py",),
    any_file_at_hand_will_do=(
        "a file at hand is not held to its digest",
        "if pinned and found != pinned:",
        "if pinned and found.size != pinned.size:",
    ),
    offline_downloads=("`offline` downloads", "if self._offline:", "if self._offline is None:"),
    pins_are_shared=(
        "the pins of one builder hold for the next",
        "self._url_infos = {**self._url_infos, **(url_infos or {})}",
        "self._url_infos.update(url_infos or {})",
    ),
) + plant(
    f"{_ROOM}/failures.py",
    ("data/preparing/test_prepare.py",),
    lack_of_tensorflow_is_not_told=(
        "a name that is not supplied passes for a damaged file",
        "if isinstance(first, NotSupplied):",
        "if first is NotSupplied:",
    ),
)  # fmt: skip

FAULTS = (*_JPEG, *_ENCODING, *_STAND_IN, *_QUIET, *_GFILE, *_EXTRACTION, *_DOOR)
