"""How many examples the fuzzing tests try.

`FUZZ_TIMES=100` tries a hundred times as many. In CI the examples are the same each time
(tests/conftest.py); elsewhere each run tries others.
"""

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("FUZZ_TIMES", "1"))


def examples(count, **more):
    """Settings for `count` examples in a usual run."""
    return settings(
        max_examples=count * TIMES,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        **more,
    )
