"""Preparing a stock TFDS data set without TensorFlow: the builder does the work."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from imgcls_jax.data.catalog import prepared
from imgcls_jax.data.catalog.preparing import failures


def prepare(
    builder: Any,
    *,
    download_dir: str | os.PathLike | None = None,
    manual_dir: str | os.PathLike | None = None,
    offline: bool = False,
) -> Path:
    """Prepares the data set of a TFDS builder as array records; returns its folder.

    The folder is `data_dir/name[/config]/version` of the builder, made whole or not at all; one
    that is there already is returned as it is. Downloads are kept, what is unpacked from them is
    not. TensorFlow is not imported, installed or not: what the builder needs of it is supplied
    (see `stand_in`). PNG files that TensorFlow would encode hold the same pixels in other bytes;
    JPEG files and files that are stored as published are the same bytes.

    Args:
      builder: a `tfds.core.DatasetBuilder`, as `tfds.builder` returns it.
      download_dir: for downloads, and where files fetched by hand are looked for; by default the
        `downloads` in the TFDS folder.
      manual_dir: files that a person has to fetch; by default `download_dir/manual`.
      offline: whether nothing may be downloaded.

    Raises:
      UserError: within 10 seconds where a host does not answer; the builder needs something of
        TensorFlow or a package that is not there; a manual download is missing; a file or an
        archive is not what it should be; or the folder cannot be written.
    """
    folder = Path(os.fspath(builder.data_path))
    if prepared.exists(folder):
        return folder
    root = Path(os.fspath(builder.data_dir_root))
    downloads = Path(download_dir or root / "downloads").expanduser().absolute()
    manual = Path(manual_dir or downloads / "manual").expanduser().absolute()

    def make(scratch: Path) -> Path:
        return _generate(builder, scratch, downloads, manual=manual, offline=offline)

    try:
        prepared.make_whole(folder, make)
    except Exception as error:  # TFDS and each builder raise their own
        raise failures.explained(error, builder, manual=manual) from error
    return folder


def _generate(builder: Any, scratch: Path, downloads: Path, *, manual: Path, offline: bool) -> Path:
    """Prepares the data set in a scratch folder; returns where in it.

    Raises:
      UserError, OSError, and whatever the builder raises.
    """
    import tensorflow_datasets as tfds

    from imgcls_jax.data.catalog import download
    from imgcls_jax.data.catalog.builder import quiet
    from imgcls_jax.data.catalog.preparing import extraction, gfile, manager, stand_in

    with contextlib.ExitStack() as stack:
        stack.enter_context(stand_in.supplied())
        bar = stack.enter_context(_bar(builder))
        for context in (extraction.bounded, gfile.many_open, download.bounded_requests, quiet):
            stack.enter_context(context())
        config = {"config": builder.builder_config} if builder.builder_config else {}
        made = type(builder)(
            data_dir=scratch, version=str(builder.version), file_format="array_record", **config
        )
        hands_out = manager.Manager(
            download_dir=downloads,
            extract_dir=scratch / "extracted",
            manual_dir=manual,
            manual_dir_instructions=builder.MANUAL_DOWNLOAD_INSTRUCTIONS,
            url_infos=builder.url_infos,
            dataset_name=builder.name,
            offline=offline,
            say=lambda doing: bar.set_postfix_str(doing),
        )
        made._make_download_manager = lambda **_: hands_out
        made._generate_examples = _counted(made._generate_examples, bar)
        made.download_and_prepare(
            download_config=tfds.download.DownloadConfig(try_download_gcs=False)
        )
    return Path(os.fspath(made.data_path))


def _bar(builder: Any) -> tqdm:
    return tqdm(
        total=sum(split.num_examples for split in builder.info.splits.values()) or None,
        desc=f"Preparing {builder.name}",
        unit=" examples",
        leave=False,
        disable=None,
    )


def _counted(generate: Any, bar: tqdm) -> Any:
    """Returns the builder's generator of examples, whose examples move the bar."""

    def counted(examples: Iterator) -> Iterator:
        bar.set_postfix_str("")
        for example in examples:
            yield example
            bar.update()

    def generates(*args: Any, **kwargs: Any) -> Any:
        examples = generate(*args, **kwargs)
        return counted(examples) if isinstance(examples, Iterator) else examples

    return generates
