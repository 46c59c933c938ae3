"""Pages in a real browser: what is left of one after its scripts, and what the tests do to it before."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

CLICKS = """addEventListener("load", () => {
  for (const id of ["worst", "earlier", "later", "out", "whole"]) document.getElementById(id).click();
})"""
# Over the middle of a chart, which is named.
HOVER = """addEventListener("load", () => {
  const svg = document.querySelector("#%s svg"), bounds = svg.getBoundingClientRect();
  const place = { clientX: bounds.left + bounds.width * 0.5, clientY: bounds.top + 40 };
  svg.dispatchEvent(new PointerEvent("pointermove", place));
})"""


def dump(browser: str, page: str, folder: Path, *, width: int = 800) -> str:
    """The page's elements after its scripts have run, in a window of some width."""
    file = folder / "report.html"
    file.write_text(page, encoding="utf-8")
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-sync",
        "--no-first-run",
    ]
    command = [
        browser,
        *options,
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={width},900",
        "--virtual-time-budget=3000",
        "--dump-dom",
        file.as_uri(),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=True).stdout


def acting(page: str, script: str) -> str:
    return page.replace('<script>\n"use strict";', f'<script>\n{script};\n"use strict";')


def rendered(dom: str) -> int:
    assert not (error := re.search(r'<html[^>]*data-error="([^"]*)"', dom)), error
    found = re.search(r'<html[^>]*data-rendered="(\d+)"', dom)
    assert found, "the script did not reach its end"
    return int(found[1])
