"""Freed memory kept by the process, so that XLA on CPU does not fault it in again every step."""

import ctypes

# Of <malloc.h>, the GNU C library's.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8


def keep_freed_memory() -> bool:
    """Tells the C library to keep what is freed; call it before the first computation.

    XLA's CPU backend allocates the temporary buffers of every call anew and frees them after it:
    gigabytes for a step of a network on photos. The GNU library maps such buffers from the system
    and gives them back, so that every step takes hundreds of thousands of page faults, up to a
    third of its time. Kept, pages are faulted in once; the process holds its peak until it ends,
    and more than that peak where what is free lies scattered.

    Returns:
      Whether it could: False with another C library than GNU's (macOS, musl).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
        ctypes.CDLL(None).gnu_get_libc_version  # noqa: B018: others have a mallopt of other numbers
    except (OSError, AttributeError, TypeError):  # TypeError: CDLL(None) on Windows
        return False
    # One arena: all but the first map what is large, whatever the limit on mappings.
    settings = ((_M_ARENA_MAX, 1), (_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, -1))
    return all([mallopt(name, value) for name, value in settings])
