"""Ice 3.6.5 asks this module, which left Python in 3.12, for one thing: a new, empty module."""

from __future__ import annotations

from types import ModuleType as new_module

__all__ = ["new_module"]
