"""Errors of the product. The command line prints the message as one line and exits with `exit_code`."""

import json

# An admission webhook, or a proxy, may answer with pages of text; a condition's message is read on one line.
_CHARS_MAX = 500
# Of what was given: the rest of the line says what is allowed, and is to be seen as well.
_SHOWN_MAX = 60


class HeadstartError(Exception):
    """Something failed that the user should read about: one line saying what, where, and what to do."""

    exit_code = 1


class UsageError(HeadstartError):
    """The user's input can't be used: a bad file, a bad option. Names file, line and column where there are some."""

    exit_code = 2


def one_line(text: str) -> str:
    """`text` on one line of at most 500 characters: what others say, as part of a message of ours."""
    joined = " ".join(text.split())
    return joined if len(joined) <= _CHARS_MAX else joined[: _CHARS_MAX - 1] + "…"


def shown(given: object) -> str:
    """What a user gave, as messages repeat it: text in quotes, the rest as in JSON, of at most 60 characters."""
    text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False, default=str)
    cut = text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 3]}..."
    return repr(cut) if isinstance(given, str) else cut
