"""How programs end: the signals that ask them to, and the status that they leave."""

import signal

# That ask a program to end: Ctrl-C, a supervisor, a terminal that is closed.
ASKING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
UNREAD = 141  # 128 and SIGPIPE: as a shell reports programs whose output nobody reads
