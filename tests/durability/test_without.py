"""Without persistence nothing of ZODB is there."""

import subprocess
import sys

SCRIPT = """
import sys
from broker.broker import Broker
with Broker("listener 0 127.0.0.1\\nallow_anonymous true\\npersistence false"):
    pass
names = {name.partition(".")[0] for name in sys.modules}
print(sorted(names & {"ZODB", "BTrees", "persistent", "transaction", "zc", "zodbpickle"}))
print(sorted(name for name in sys.modules if name.startswith("persistence.")))
"""


def test_nothing_of_zodb_is_imported():
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    zodb, ours = result.stdout.splitlines()
    assert zodb == "[]"
    assert ours == "['persistence.errors', 'persistence.records']"
