"""Whether decoded photos fit into memory."""

from pathlib import Path

from imgcls_jax.errors import UserError


def require_memory(count: int, size: int) -> None:
    """Raises UserError unless the pixels fit into free memory, where the system tells it."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return
    needed = 2 * count * size * size * 3  # on the way to the device there are two of each
    if needed > 1024 * free:
        raise UserError(
            f"{count:,} photos of {size}x{size} pixels need {needed / 1e9:.1f} GB of memory, and "
            f"{1024 * free / 1e9:.1f} GB are free: stream them with `feed=streamed`, or give a "
            "smaller `image_size`."
        )
