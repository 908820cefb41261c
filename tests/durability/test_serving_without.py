"""While a broker without persistence serves, nothing of ZODB is there.

Of our own package for the database there is what a broker shares with it without a database:
its error, and how a change would be written down. Neither imports anything of ZODB.
"""

import json
import subprocess
import sys

import pytest

from tests.durability.broker_process import DEADLINE_S, ROOT

SCRIPT = """
import json
import sys

from broker.broker import Broker
from formats.mqtt.connect import Will
from tests.harness.client import Client
from tests.harness.wires import SocketWire

KEPT = {0x11: 3600}


class Site:
    def settle(self):
        pass


with Broker(sys.stdin.read()) as broker:
    def client(client_id, listener, **options):
        one = Client(Site(), SocketWire(Site(), broker.ports[listener]), 5)
        one.connect(client_id, False, properties=KEPT, **options)
        return one

    def receive(count):
        return [kept.receive_message().payload.decode() for _ in range(count)]

    kept = client("kept", 0)
    kept.subscribe("t", qos=2)
    kept.disconnect()
    publisher = client("publisher", 1, will=Will("t", b"will", 1))
    for qos in (1, 2):
        publisher.publish("t", b"%d" % qos, qos, True)
    kept = client("kept", 1)
    got = receive(2)
    publisher.disconnect(4)
    got += receive(1)
    serving = sorted(sys.modules)
    kept.wire.close()
    publisher.wire.close()
json.dump([got, serving, sorted(sys.modules)], sys.stdout)
"""
ZODB = {"ZODB", "BTrees", "persistent", "transaction", "zc", "zodbpickle", "zodburi", "ZEO"}
SHARED = {"persistence", "persistence.errors", "persistence.records"}


@pytest.mark.parametrize("options", ["", "persistence false", "persistence_location database"])
def test_nothing_of_zodb_is_imported_while_it_serves(tmp_path, options):
    configuration = f"allow_anonymous true\n{options}\n" + "listener 0 127.0.0.1\n" * 2
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=configuration,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert run.returncode == 0, run.stderr
    got, serving, stopped = json.loads(run.stdout)
    assert got == ["1", "2", "will"]
    for modules in (serving, stopped):
        assert not {name for name in modules if name.partition(".")[0] in ZODB}
        assert {name for name in modules if name.partition(".")[0] == "persistence"} <= SHARED
    assert not list(tmp_path.iterdir()), "files of a database"
