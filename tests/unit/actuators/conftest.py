"""A fake API server for each test, and a client of it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from fake_api.fixtures import api, kube, kubeconfig

__all__ = ["api", "kube", "kubeconfig"]
