"""The one exception that is meant for a person rather than for a debugger."""


class UserError(Exception):
    """Input that cannot be used: one sentence that says what is wrong and what to do next.

    Library code raises it where the cause lies outside the program (a file, a flag, a disk, a
    diverged loss); entry points print its text and exit with status 1, without a traceback.
    """
