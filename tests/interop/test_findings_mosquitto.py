"""docs/findings.md: mosquitto_pub and mosquitto_sub.

They wait a second before they connect again, so what breaks connections runs side by side: each
program has a proxy of its own.
"""

import contextlib
import subprocess

import pytest

from tests.interop.broker_process import DEADLINE_S
from tests.interop.cutting_proxy import (
    BROKER,
    CLIENT,
    CONNACK,
    CUTS,
    PINGREQ,
    PUBACK,
    PUBLISH,
    PUBREL,
    CuttingProxy,
)
from tests.interop.findings import check, place
from tests.interop.mosquitto_clients import VERSIONS
from tests.interop.needs import program

pytestmark = [pytest.mark.interop, pytest.mark.slow]
LARGE = b"0123456789ABCDEF" * 65_536  # 1 MiB
COUNT = 20
WILL = ["--will-topic", "will", "--will-payload", "gone", "--will-qos", "1", "--will-retain"]
# name and what follows it, for -D
PROPERTIES = {
    "connect": [
        ["receive-maximum", "100"],
        ["maximum-packet-size", "2000000"],
        ["user-property", "name", "value"],
    ],
    "publish": [
        ["content-type", "text/plain"],
        ["response-topic", "answer"],
        ["correlation-data", "42"],
        ["message-expiry-interval", "60"],
        ["payload-format-indicator", "1"],
        ["user-property", "a", "1"],
    ],
}


class Programs:
    """mosquitto_pub and mosquitto_sub of one version."""

    def __init__(self, version):
        self.version = version
        self.running = []

    def _command(self, name, there, *arguments, kept=""):
        command = [program("mosquitto-clients", name), "-h", there.host, "-p", str(there.port)]
        command += ["-V", VERSIONS[self.version], "-u", "user", "-P", "password", *WILL]
        if there.ca:
            command += ["--cafile", there.ca]
        if kept:
            command += ["-i", kept, "-c"]
        if kept and self.version == 5:
            command += ["-x", "3600"]
        return [*command, *self.properties("connect"), *arguments]

    def properties(self, packet):
        pairs = PROPERTIES[packet] if self.version == 5 else []
        return [word for pair in pairs for word in ("-D", packet, *pair)]

    def publish(self, there, *arguments, payload=None, kept="", wait=True):
        command = self._command("mosquitto_pub", there, *arguments, kept=kept)
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.running.append(process)
        if wait:
            process.stdin.write(payload or b"")
            self.end(process)
        return process

    def subscribe(self, there, *arguments, kept=""):
        """A mosquitto_sub that has had its SUBACK."""
        command = self._command("mosquitto_sub", there, "-d", *arguments, kept=kept)
        process = subprocess.Popen(
            ["stdbuf", "-oL", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.running.append(process)
        for line in process.stdout:
            if line.startswith(b"Subscribed"):
                break
        return process

    def end(self, process):
        if process.stdin:
            process.stdin.close()
        with process.stdout:
            words = process.stdout.read()
        assert process.wait(DEADLINE_S) == 0, words

    def close(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()


def _all_packets(programs, there, name):
    receiving = programs.subscribe(
        there, "-q", "2", "-t", f"{name}/+/a", "-t", f"{name}/#", "-t", "other/b",
        "-U", "nothing/here", "-C", str(6 + COUNT),
    )  # fmt: skip
    for qos in "012":
        programs.publish(
            there, "-q", qos, "-t", f"{name}/{qos}/a", "-m", "small",
            *programs.properties("publish"),
        )  # fmt: skip
        programs.publish(there, "-q", qos, "-t", f"{name}/large", "-s", payload=LARGE)
    programs.publish(there, "-q", "2", "-t", f"{name}/many", "-l", payload=lines())
    programs.end(receiving)
    programs.publish(there, "-r", "-q", "1", "-t", f"kept/{name}", "-m", "kept")
    programs.end(programs.subscribe(there, "-q", "1", "-t", f"kept/{name}", "-C", "1"))
    programs.publish(there, "-r", "-q", "1", "-t", f"kept/{name}", "-n")
    if programs.version == 5:
        identifier = ["-D", "subscribe", "subscription-identifier", "7"]
        shared = programs.subscribe(
            there, "-q", "1", "-t", f"$share/g/{name}", "-C", "2", *identifier
        )
        alias = ["-D", "publish", "topic-alias", "3"]
        programs.publish(there, "-q", "1", "-t", name, "-m", "x", "--repeat", "2", *alias)
        programs.end(shared)
        for qos in "12":
            programs.publish(there, "-q", qos, "-t", "test_qos_1_2_errors", "-m", "x", wait=False)


def lines(count=COUNT):
    return b"".join(b"%d\n" % number for number in range(count))


def _begin_broken(programs, brokers, proxies):
    """Programs whose connections break in the flows of QoS 1 and 2; they end when all is there."""
    processes = []
    for number, cut in enumerate(CUTS):
        proxy = proxies.enter_context(CuttingProxy(brokers.broker.ports[0]))
        there = brokers.endpoint(port=proxy.port)
        qos = "1" if cut.packet_type in (PUBACK, PUBLISH) else "2"
        to_topic = ["-q", qos, "-t", f"flows/{number}"]
        if (cut.sender == CLIENT) == (cut.packet_type in (PUBLISH, PUBREL)):
            proxy.arm(cut)
            process = programs.publish(there, *to_topic, "-l", kept=f"pub-{number}", wait=False)
            # No more than is on its way when the connection breaks: without one, it gives up.
            process.stdin.write(lines(cut.number))
            process.stdin.flush()
        else:
            kept = f"sub-{number}"
            process = programs.subscribe(there, *to_topic, "-C", str(COUNT + 5), kept=kept)
            proxy.arm(cut)
            programs.publish(brokers.endpoint(), *to_topic, "-l", payload=lines())
        processes.append((process, proxy, cut, to_topic))
    return processes


def _end_broken(programs, brokers, processes):
    for process, proxy, cut, to_topic in processes:
        proxy.await_packets(BROKER, CONNACK, 2)
        if process.stdin:
            process.stdin.write(lines())
        else:
            # Where the connection broke it may have acknowledged a message and not counted it.
            programs.publish(brokers.endpoint(), *to_topic, "-l", payload=lines())
        programs.end(process)
        assert proxy.fired == [cut]


@pytest.mark.parametrize("version", [4, 5], ids=["3.1.1", "5.0"])
def test_what_the_oracle_finds(version, findings_pki):
    with place(findings_pki) as brokers, contextlib.ExitStack() as proxies:
        programs = Programs(version)
        proxies.callback(programs.close)
        # The shortest keep alive that it takes.
        idle = ["-t", "idle", *(["-k", "5"] if version == 4 else [])]
        there = brokers.endpoint(proxied=True) if version == 4 else brokers.narrow()
        waiting = programs.subscribe(there, *idle, "-C", "1")
        broken = _begin_broken(programs, brokers, proxies)
        for scheme in ("mqtt", "mqtts"):
            _all_packets(programs, brokers.endpoint(scheme), scheme)
        programs.publish(brokers.narrow(), "-q", "2", "-t", "at/once", "-l", payload=lines())
        if version == 5:
            asking = ["-t", "cmd/disconnectWithRC", "-m", "151"]
            programs.publish(brokers.endpoint(), *asking, wait=False).wait(DEADLINE_S)
        _end_broken(programs, brokers, broken)
        proxy = brokers.proxy if version == 4 else brokers.narrow_proxy
        proxy.await_packets(CLIENT, PINGREQ, 1)
        programs.publish(there, "-t", "idle", "-m", "x")
        programs.end(waiting)
        reports = brokers.reports()
    check("mosquitto_pub and mosquitto_sub", version, reports)
