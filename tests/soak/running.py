"""One soak from the start of the broker to its report."""

from tests.soak.broker_process import BrokerProcess
from tests.soak.soak import Soak

MARKS_OF_A_BUG = ("ERROR", "CRITICAL", "Traceback")
PERSISTENCE = """
persistence true
persistence_location database
persistence_pack_ratio 0
"""


def soak(folder, duration_s, clients, seed, say=lambda line: None, persistence=False):
    """Returns what was counted.

    Raises:
        AssertionError: something owed did not come, something came that was not, something is
            left, or the broker complains of itself or of a client.
    """
    broker = BrokerProcess(folder, PERSISTENCE if persistence else "")
    try:
        counts = Soak(broker, clients, seed, say).run(duration_s)
        assert broker.end() == 0, broker.log()
    finally:
        broker.close()
    wrong = [line for line in broker.log().splitlines() if any(m in line for m in MARKS_OF_A_BUG)]
    assert not wrong, "\n".join(wrong[:20])
    for client in broker.report()["clients"]:
        assert not client["violations"], (client["client_id"], client["violations"][:2])
    return counts
