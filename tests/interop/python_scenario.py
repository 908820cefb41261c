"""What the clients of Python do for docs/findings.md, all of it through `tests.interop.drivers`."""

import contextlib

from tests.interop.cutting_proxy import CLIENT, CUTS, CUTS_ANEW, PINGREQ
from tests.interop.findings import RECEIVE_MAXIMUM

LARGE = bytes(range(256)) * 4096  # 1 MiB
BATCH = 5  # messages of each QoS on their way when the connection breaks
PROPERTIES = {
    "PayloadFormatIndicator": 1,
    "MessageExpiryInterval": 60,
    "ContentType": "text/plain",
    "ResponseTopic": "answer/here",
    "CorrelationData": b"\x00\xff",
    "UserProperty": ("a", "1"),
}


def run(driver_class, place, version, schemes, broken_schemes):
    """Everything, in turn; what waits for time to pass goes on beside the rest."""
    with contextlib.ExitStack() as clients:

        def connected(there, name, **more):
            driver = driver_class(there, version, name, **more)
            clients.callback(driver.close)
            driver.connect()
            return driver

        idle = connected(place.endpoint(proxied=True), "idle", keep_alive_s=2)
        connected(place.narrow(), "server-keep-alive")
        for scheme in schemes:
            _all_packets(connected, place.endpoint(scheme), scheme, version)
        for scheme in broken_schemes:
            there = place.endpoint(scheme, proxied=True)
            _broken_connections(connected, place.proxy, there, f"kept-{scheme}", clean=False)
            _started_anew(connected, there, f"clean-{scheme}")
        _at_once(connected, place.narrow(), version)
        if version == 5:
            _server_disconnects(connected, place.endpoint())
        place.proxy.await_packets(CLIENT, PINGREQ, 1)
        if version == 5:
            place.narrow_proxy.await_packets(CLIENT, PINGREQ, 1)
        idle.subscribe([("idle", 0)])


def _all_packets(connected, there, name, version):
    """Every packet a client has, with what it can hold."""
    one = connected(there, f"all-{name}")
    other = connected(there, f"all-{name}-2", clean=False)
    one.subscribe([(f"{name}/+/a", 0), (f"{name}/#", 2), ("other/b", 1)])
    more = {}
    if version == 5:
        more = PROPERTIES
        one.subscribe([(f"identified/{name}", 1)], identifier=7)
        for member in (one, other):
            member.subscribe([(f"$share/group/shared/{name}", 1)])
    for qos in (0, 1, 2):
        for payload in (b"", b"small"):
            other.publish(f"{name}/{qos}/a", payload, qos, **more)
            got = one.receive()
            assert got == (f"{name}/{qos}/a", payload, qos), got
        other.publish(f"{name}/large", LARGE, qos)
        assert one.receive() == (f"{name}/large", LARGE, qos)
        other.settle()
    many = [
        (f"{name}/many/{number % 4}", str(number).encode(), 1 + number % 2, False)
        for number in range(30)
    ]
    for driver in (one, other):
        driver.publish_all(many)
    for driver in (one, other):
        driver.settle()
    assert len({one.receive() for _ in range(60)}) == 30
    other.publish(f"kept/{name}", b"kept", 1, retain=True)
    other.settle()
    one.subscribe([(f"kept/{name}", 1)])
    assert one.receive() == (f"kept/{name}", b"kept", 1)
    one.unsubscribe([f"kept/{name}", "other/b"])
    other.publish(f"kept/{name}", b"", 1, retain=True)
    if version == 5:
        other.publish(f"identified/{name}", b"x", 2)
        assert one.receive() == (f"identified/{name}", b"x", 1)
        for topic in (f"{name}/alias", ""):
            other.publish(topic, b"x", 1, TopicAlias=1)
            assert one.receive()[0] == f"{name}/alias"
        for qos in (1, 2):
            other.publish("test_qos_1_2_errors", b"refused", qos)
            other.publish("test_qos_1_2_errors_pubcomp", b"refused", qos)
        other.settle()
        for _ in range(4):
            other.publish(f"shared/{name}", b"x", 1)
    other.settle()


def _broken_connections(connected, proxy, there, name, clean):
    """The connection breaks wherever it can in the flows of QoS 1 and 2; nothing gets lost."""
    driver = connected(there, name, clean=clean)
    driver.subscribe([(f"flows/{name}/#", 2)])
    for place, cut in enumerate(CUTS):
        connections = driver.connections
        batch = [
            (f"flows/{name}/{place}/{number}/{qos}", b"x", qos, False)
            for number in range(BATCH)
            for qos in (1, 2)
        ]
        driver.publish_all([(f"cut/{place}", b"", 0, False), *batch])
        expected = {topic for topic, *_ in batch}
        while expected:
            expected.discard(driver.receive()[0])
        driver.settle()
        driver.await_connection(connections + 1)  # the break may come when all is received
        assert proxy.fired[-1] == cut


def _started_anew(connected, there, name):
    """The session is gone when the client comes back in the middle of its flows."""
    driver = connected(there, name)
    batch = [("anew", b"x", 1 + number % 2, False) for number in range(2 * BATCH)]
    for cut in CUTS_ANEW:
        connections = driver.connections
        driver.publish_all([(f"cut/{cut}", b"", 0, False), *batch])
        driver.await_connection(connections + 1)
        driver.publish("anew", b"x", 2)
        driver.settle()


def _at_once(connected, there, version):
    """More messages than the Receive Maximum of a 5.0 broker."""
    driver = connected(there, "at-once", reconnects=False)
    count = 3 * RECEIVE_MAXIMUM
    driver.publish_all([("at/once", b"x", 1 + number % 2, False) for number in range(count)])


def _server_disconnects(connected, there):
    driver = connected(there, "server-disconnects")
    driver.publish("cmd/disconnectWithRC", b"151", 0)
    driver.await_connection(2)
    driver.publish("back", b"x", 1)
    driver.settle()
