"""Columns of logs with one row per request, as their publishers name them."""

from __future__ import annotations

from collections.abc import Collection

TOKEN_COLUMNS = ("prompt_tokens", "output_tokens")
# Time, prompt tokens and output tokens.
AZURE_LLM = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
BURSTGPT = ("Timestamp", "Request tokens", "Response tokens")
MOONCAKE = ("timestamp", "input_length", "output_length")


def name_a_log(names: Collection[str]) -> bool:
    """Whether a table of these columns has a row per request; with 'requests' among them it has a row per bin."""
    token_columns = (TOKEN_COLUMNS, AZURE_LLM[1:], BURSTGPT[1:], MOONCAKE[1:])
    return "requests" not in names and any(set(names).issuperset(columns) for columns in token_columns)
