"""Whether pixels fit into the memory that is free, asked before they are decoded."""

from pathlib import Path

from imgcls_jax.errors import UserError


def require_photos(count: int, size: int) -> None:
    """Raises UserError unless so many photos of `size` pixels per side fit into free memory."""
    require(
        count * size * size * 3,
        what=f"{count:,} photos of {size}x{size} pixels",
        advice="stream them with `feed=streamed`, or give a smaller `image_size`",
    )


def require(pixel_bytes: int, *, what: str, advice: str) -> None:
    """Raises UserError unless the pixels fit into free memory, where the system tells it.

    Args:
      pixel_bytes: of the pixels; on the way to the device there are two of each.
      what: the images, as a sentence begins with them.
      advice: what to do, as it goes on after a colon.
    """
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return
    needed = 2 * pixel_bytes
    if needed > 1024 * free:
        raise UserError(
            f"{what} need {needed / 1e9:.1f} GB of memory, and {1024 * free / 1e9:.1f} GB are "
            f"free: {advice}."
        )
