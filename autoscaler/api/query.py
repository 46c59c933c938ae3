"""PromQL as an object states it: what can be told of it without a server, so that a typing error is told at once."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

_OPENED_BY = {")": "(", "}": "{", "]": "["}
# A quoted text (in backticks nothing is escaped), a comment, or one character.
_PIECE = re.compile(r""""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`|#[^\n]*|.""", re.DOTALL)
_BLANK = "is blank; it must hold PromQL"


def _check_query(query: str) -> str:
    """The query. ValueError where it is blank, or a bracket or quote has no partner, with its place, from 1."""
    if not query.strip():
        raise ValueError(_BLANK)
    opened: list[re.Match[str]] = []
    for piece in _PIECE.finditer(query):
        text = piece[0]
        if text in ('"', "'", "`"):
            raise ValueError(f"has a quote {text} at character {piece.start() + 1} that nothing closes")
        if text in _OPENED_BY.values():
            opened.append(piece)
        elif text in _OPENED_BY:
            if not opened:
                raise ValueError(f"has a {text} at character {piece.start() + 1} that nothing opens")
            if opened[-1][0] != _OPENED_BY[text]:
                first = f"{opened[-1][0]} at character {opened[-1].start() + 1}"
                raise ValueError(f"has a {first}, and a {text} at character {piece.start() + 1} that doesn't close it")
            opened.pop()
    if opened:
        raise ValueError(f"has a {opened[-1][0]} at character {opened[-1].start() + 1} that nothing closes")
    return query


Query = Annotated[
    str,
    StringConstraints(min_length=1, max_length=8192),
    AfterValidator(_check_query),
    Field(json_schema_extra={"x-kubernetes-validations": [{"rule": r"self.matches('\\S')", "message": _BLANK}]}),
]
