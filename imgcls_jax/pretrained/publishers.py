"""Publishers' own files of ImageNet weights: which, and how to get and check one.

All are timm's safetensors on the Hugging Face hub: torchvision's weights ("tv"), timm's own ("ra",
"ra2", "a1", "lamb"), and those of EfficientNet's authors ("tf ... aa"), which keras.applications
has too. What the hub stores in Git LFS it names by its SHA-256.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from imgcls_jax.data.catalog import download
from imgcls_jax.errors import UserError
from imgcls_jax.pretrained.families import family
from imgcls_jax.pretrained.origin import Origin

_FILE = "model.safetensors"


@dataclass(frozen=True)
class Published:
    """A file on the hub.

    Attributes:
      repository: where it is.
      sha256: the digest that the hub shows for it; None where none could be read beforehand: then
        it is checked against the digest the hub tells with it.
      revision: the commit; "main" where only the digest pins it.
      convention: see `Origin`.
    """

    repository: str
    sha256: str | None = None
    revision: str = "main"
    convention: str = "torch"

    @property
    def origin(self) -> Origin:
        """Where the weights come from."""
        return Origin("timm", self.convention, "imagenet")


_tensorflow = partial(Published, convention="tensorflow")
_FILES = {
    "resnet18": Published(
        "timm/resnet18.tv_in1k",
        "694f673df6520a3158624e8a89af086f59923ee4cd7436fe5bc3bc71d295ad81",
        "a987fd6b60f845221bfff84b6f0191273ba56ead",
    ),
    "resnet34": Published("timm/resnet34.tv_in1k"),
    "resnet50": Published(
        "timm/resnet50.tv_in1k",
        "5d061a3c593d795bfe682d9b152bafbcf550579873492def3515b46db1189888",
        "aa6c2d36d56bc0209040c02b5a7b7d7bf11d57b8",
    ),
    "resnet101": Published(
        "timm/resnet101.a1_in1k",
        "1ba5b660e7c175b3c27c557fc7dc8b2815be830c516815b0155f61b403f27380",
        "e95c1e3e7cdcc0637817ecc79658817e6dc441bc",
    ),
    "densenet121": Published(
        "timm/densenet121.tv_in1k",
        "c894c6d9caa317a8ca1942986dee7a16a86c77734a4d691d2abe05389cfef358",
    ),
    "densenet169": Published(
        "timm/densenet169.tv_in1k", revision="8c033a1f91d746e37e23229bf0445fff2125c89e"
    ),
    "mobilenet_v2": Published(
        "timm/mobilenetv2_100.ra_in1k",
        "55ea4fb3a96010b933710ebf44fc965b070d5cd054d3f35e44f2d1320b4a714e",
        "f3ff81ba89de0bc46b546568ebeab2edef6b9d49",
    ),
    "mobilenet_v3_small": Published("timm/mobilenetv3_small_100.lamb_in1k"),
    "mobilenet_v3_large": Published(
        "timm/mobilenetv3_large_100.ra_in1k",
        "f425af34cc1cead2b5d6211f789a1f30b94835dc32f9c0fcc5a916e4fd2dde85",
    ),
    "efficientnet_b0": _tensorflow(
        "timm/tf_efficientnet_b0.aa_in1k",
        "bc97e48e1360ee9d9c9d8a39ad2fb9b85ad150eb89d6fc69cd0f08301b5e0b3e",
    ),
    "efficientnet_b1": _tensorflow(
        "timm/tf_efficientnet_b1.aa_in1k",
        "44df4f85e844442fe761fb0ce92a9e4b96b2ec5d209e9169956fe033da180145",
    ),
    "efficientnet_b2": _tensorflow(
        "timm/tf_efficientnet_b2.aa_in1k",
        "08d7bd5d858873cb1a829f51c01811c75117665b1de91c215acbcf836a23a5c9",
        "99149aafd9bb256a0178f14ca9ab24deec5eb2a8",
    ),
    "efficientnet_b3": Published(
        "timm/efficientnet_b3.ra2_in1k",
        "279d2a53898aa89dab43fd6bd7df9f706aea4cb9cf916223988bbcb8e5850469",
    ),
    "efficientnet_b4": Published(
        "timm/efficientnet_b4.ra2_in1k", revision="2db9846671fa6880c01b7a4608443d276eddc593"
    ),
    "efficientnet_b5": _tensorflow(
        "timm/tf_efficientnet_b5.aa_in1k",
        "e81868f5acfdd37fc79a337761cba24b33611d652ca969cbe9a474fd800ad4de",
    ),
    "efficientnet_b6": _tensorflow(
        "timm/tf_efficientnet_b6.aa_in1k", revision="48bd93ba54a976b4e5eab6a4fb9b438029310ef6"
    ),
    "efficientnet_b7": _tensorflow(
        "timm/tf_efficientnet_b7.aa_in1k", revision="ad265c14a9a5535623534c06fb7e1d67a11e982e"
    ),
}


def published(model_name: str) -> Published:
    """The file of ImageNet weights for a network.

    Raises:
      UserError: if there is none.
    """
    family(model_name)
    return _FILES[model_name]


def fetch(file: Published) -> Path:
    """The file in the hub's cache on this machine, downloaded once and resumed where it stopped.

    Raises:
      UserError: within ten seconds where the hub does not answer; later where a download fails or
        brings something else.
    """
    import huggingface_hub

    cached = huggingface_hub.try_to_load_from_cache(file.repository, _FILE, revision=file.revision)
    path = Path(cached) if isinstance(cached, str) else _download(file)
    _check(file, path)
    return path


def _download(file: Published) -> Path:
    import huggingface_hub

    url = huggingface_hub.hf_hub_url(file.repository, _FILE, revision=file.revision)
    reason = download.no_route(url)  # the hub's own client would try for half a minute
    if reason is None:
        try:
            return Path(
                huggingface_hub.hf_hub_download(file.repository, _FILE, revision=file.revision)
            )
        except Exception as error:  # the client's, of an HTTP library that changes by its release
            reason = str(error).strip().split("\n")[0] or type(error).__name__
    raise UserError(
        f"the ImageNet weights cannot be downloaded from {url} ({reason}): connect to the network "
        "and run again, which continues a download, or fetch that file and the config.json "
        "beside it elsewhere and give --weights=PATH."
    )


def _check(file: Published, path: Path) -> None:
    """Raises UserError unless the file has a digest, and that."""
    # The cache calls a file by what the hub said of it: in Git LFS the digest.
    told = path.resolve().name
    expected = file.sha256 or (told if re.fullmatch("[0-9a-f]{64}", told) else None)
    if expected is None:
        raise UserError(
            f"{path} cannot be checked, since the hub's cache does not call it by its SHA-256 and "
            "none is known here: delete it and run again, or give it as --weights=PATH."
        )
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if expected != digest:
        raise UserError(
            f"{path} is not what {file.repository} published (its SHA-256 begins with "
            f"{digest[:12]}, not {expected[:12]}): delete {path.resolve()} and run again."
        )
