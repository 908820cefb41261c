"""From an older schema to the next, one step at a time.

`STEPS[n]` turns schema n into n + 1; it gets the OOBTree of `persistence/records.py` and changes
it in place. Each step is committed before the next.
"""

from collections.abc import Callable
from typing import Any

STEPS: dict[int, Callable[[Any], None]] = {}
