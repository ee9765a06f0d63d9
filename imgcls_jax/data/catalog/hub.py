"""The copies of data sets on the Hugging Face Hub: parquet files of PNG images and labels.

They are read into memory; only the data set that is prepared from them is kept.
"""

import io

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from imgcls_jax.data.catalog.download import STALL_SECONDS, Unavailable, hurried, no_route, one_line
from imgcls_jax.data.catalog.recipe import HubCopy, Recipe, Splits
from imgcls_jax.data.dataset import Split

_MOST_BYTES = 2**29  # of one file, more than any copy here has


def fetch(recipe: Recipe) -> Splits:
    """Downloads and decodes the copy of a data set, in the order of the raw files.

    Whether it is the published data is for the caller to check: a copy may hold other images, or
    these in another order.

    Raises:
      Unavailable: within 10 seconds where the Hub does not answer; later where a download stalls,
        is refused, or brings something other than a parquet file of such images.
    """
    from huggingface_hub import constants, hf_hub_url

    copy = recipe.hub
    if constants.HF_HUB_OFFLINE:
        raise Unavailable("HF_HUB_OFFLINE is set")

    def address(path: str) -> str:
        return hf_hub_url(copy.repository, path, repo_type="dataset", revision=copy.revision)

    # The Hub passes requests for large files on to addresses that answer no HEAD.
    if reason := no_route(address("README.md")):
        raise Unavailable(reason)
    splits = {}
    for split, path in copy.files.items():
        content = _download(address(path), describe=f"Downloading {recipe.name} {split}")
        try:
            splits[split] = _decode(content, copy, describe=f"Decoding {recipe.name} {split}")
        except Exception as error:  # pyarrow's and Pillow's, of several kinds
            raise Unavailable(f"{path} cannot be read ({one_line(error)})") from error
        if len(splits[split]) != recipe.counts[split]:
            raise Unavailable(
                f"{path} holds {len(splits[split])} examples where {recipe.counts[split]} belong"
            )
    return copy.in_raw_order(splits)


def _download(url: str, *, describe: str) -> bytes:
    import requests

    content = io.BytesIO()
    try:
        with requests.get(url, stream=True, timeout=STALL_SECONDS) as response:
            response.raise_for_status()
            progress = tqdm(
                desc=describe,
                total=int(response.headers.get("Content-Length", 0)) or None,
                unit="B",
                unit_scale=True,
                leave=False,
                disable=None,
            )
            with progress:
                for chunk in hurried(response.iter_content(2**14)):
                    progress.update(content.write(chunk))
                    if content.tell() > _MOST_BYTES:
                        raise Unavailable(f"{url} sends more than {_MOST_BYTES} bytes")
    except requests.HTTPError as error:
        raise Unavailable(f"HTTP status {error.response.status_code} for {url}") from error
    except requests.RequestException as error:
        raise Unavailable(one_line(error)) from error
    return content.getvalue()


def _decode(content: bytes, copy: HubCopy, *, describe: str) -> Split:
    """Returns the examples of a parquet file in its order; images are structs with PNG `bytes`."""
    import pyarrow
    import pyarrow.parquet

    source = pyarrow.BufferReader(content)
    table = pyarrow.parquet.read_table(source, columns=[copy.image, copy.label]).flatten()
    files = tqdm(
        table[f"{copy.image}.bytes"],
        total=len(table),
        desc=describe,
        unit=" images",
        leave=False,
        disable=None,
    )
    images = np.empty((len(table), *copy.shape), np.uint8)
    for image, file in zip(images, files, strict=True):
        with Image.open(io.BytesIO(file.as_py()), formats=["PNG"]) as opened:
            image[...] = np.asarray(opened).reshape(copy.shape)
    return Split(images, table[copy.label].to_numpy().astype(np.int32))
