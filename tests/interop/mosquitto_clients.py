"""mosquitto_pub and mosquitto_sub, run as scripts run them."""

import subprocess

from tests.interop.broker_process import DEADLINE_S
from tests.interop.needs import program

VERSIONS = {3: "mqttv31", 4: "mqttv311", 5: "mqttv5"}


def _command(name, broker, shipped, version, certificate):
    """The start of a command line; `certificate` is of the client, like "client", or None."""
    command = [program("mosquitto-clients", name), "-h", "localhost", "-V", VERSIONS[version]]
    command += ["-p", str(broker.port(shipped))]
    if shipped > 18883 or shipped == 0:
        command += ["--cafile", broker.certificate("ca.pem")]
    if certificate:
        command += ["--cert", broker.certificate(f"{certificate}.pem")]
        command += ["--key", broker.certificate(f"{certificate}.key")]
    return command


def publish(broker, shipped, version, *arguments, certificate=None, payload=None):
    """Run mosquitto_pub to its end; `payload` goes to its standard input."""
    command = _command("mosquitto_pub", broker, shipped, version, certificate)
    return subprocess.run(
        [*command, *arguments], input=payload, capture_output=True, timeout=DEADLINE_S
    )


class Subscriber:
    """A running mosquitto_sub that has subscribed; it ends by itself after `count` messages.

    What a session held for it may come before the SUBACK, and all of it, so that none is awaited.
    """

    def __init__(self, broker, shipped, version, count, *arguments, certificate=None):
        command = _command("mosquitto_sub", broker, shipped, version, certificate)
        # -d says, among the messages, when the SUBACK has come; without stdbuf, it would say so
        # at its end.
        self._process = subprocess.Popen(
            ["stdbuf", "-oL", *command, "-d", "-C", str(count), "-W", str(DEADLINE_S), *arguments],
            bufsize=0,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.granted = None
        self._early = []
        for line in self._process.stdout:
            if line.startswith(b"Subscribed"):
                self.granted = line.rpartition(b":")[2].strip()
                break
            self._early.append(line)

    def lines(self):
        """What it printed of its messages."""
        output, _ = self._process.communicate(timeout=DEADLINE_S)
        output = b"".join(self._early) + output
        assert self._process.returncode == 0, output
        return [line for line in output.splitlines() if not line.startswith(b"Client ")]

    def close(self):
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()
