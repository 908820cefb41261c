"""The soak, briefly; `SOAK_SECONDS` and `SOAK_SEED` make it another (see `__main__`)."""

import faulthandler
import os

import pytest

from tests.soak.running import soak

pytest.importorskip("cryptography")  # for the test PKI

SECONDS = float(os.environ.get("SOAK_SECONDS", "15"))
SEED = int(os.environ.get("SOAK_SEED", "1"))
CLIENTS = 200


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 240)
def test_all_that_is_owed_comes_and_nothing_is_left(tmp_path):
    faulthandler.cancel_dump_traceback_later()  # it takes longer than any other test
    counts = soak(tmp_path, SECONDS, CLIENTS, SEED)
    assert min(counts[f"delivered at QoS {qos}"] for qos in (0, 1, 2)) > 10 * SECONDS
