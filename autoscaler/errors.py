"""Errors of the product. The command line prints the message as one line and exits with `exit_code`."""


class HeadstartError(Exception):
    """Something failed that the user should read about: one line saying what, where, and what to do."""

    exit_code = 1


class UsageError(HeadstartError):
    """The user's input can't be used: a bad file, a bad option. Names file, line and column where there are some."""

    exit_code = 2
