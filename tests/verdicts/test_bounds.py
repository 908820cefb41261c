"""However many clients there are and whatever they send, what is kept of them is bounded."""

import tracemalloc

from formats.errors import ProtocolViolation
from formats.mqtt import codec, rules
from formats.mqtt.acks import Pubcomp
from formats.mqtt.publish import Publish
from oracle.ledger import KEPT_BYTES, Ledger, Record
from tests.verdicts.deliveries import publish
from tests.verdicts.support import Stage

CLIENTS, MAXIMUM = 20_000, 1_000
CONNECT = b"\x10\x0d\0\4MQTT\4\2\0\0\0\1c"


def visit(ledger, number):
    """A client that connects, breaks a rule and leaves."""
    record = Record("127.0.0.1:1", float(number))
    ledger.open(record)
    record.version = 4
    record.client_id = f"client {number}"
    for _ in range(13):
        record.arrived(number, CONNECT * 40, len(CONNECT) * 40, 40)
        record.left(number, CONNECT * 40, len(CONNECT) * 40, 40)
    record.broken(ProtocolViolation(rules.SECOND_CONNECT), number, CONNECT, len(CONNECT))
    ledger.close(record)


def size_after(clients):
    ledger = Ledger(MAXIMUM)
    tracemalloc.start()
    try:
        for number in range(clients):
            visit(ledger, number)
        return ledger, tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_twenty_times_as_many_clients_as_are_kept_take_no_more_memory():
    _, enough = size_after(MAXIMUM)
    ledger, many = size_after(2 * MAXIMUM)
    assert many < 1.02 * enough
    assert enough < MAXIMUM * 40_000
    for number in range(2 * MAXIMUM, CLIENTS):
        record = Record("127.0.0.1:1", float(number))
        ledger.open(record)
        record.client_id = f"client {number}"
        record.arrived(number, CONNECT, len(CONNECT), 1)
        ledger.close(record)
    clients, dropped = ledger.clients()
    assert (len(clients), dropped) == (MAXIMUM, CLIENTS - MAXIMUM)
    assert len(ledger._clients) == MAXIMUM


def test_of_large_packets_around_a_breach_the_beginnings_are_kept():
    with Stage(5) as stage:
        one = stage.client()
        large = Publish("t", bytes(1_000_000))
        one.send(large, large, large, Pubcomp(7))
        (violation,) = stage.violations()
        (record,) = stage.site.context.ledger._open
    (breach,) = record.breaches.values()
    assert sum(len(chunk.data) for chunk in breach.sequence) < 20_000
    *before, broken = violation["sequence"][-4:]
    size = len(codec.encode(large, 5))
    assert [(row["packet"], row["size"]) for row in before] == [("PUBLISH", size)] * 3
    assert all(len(row["bytes"]) == 2 * KEPT_BYTES for row in before)
    assert broken["packet"] == "PUBCOMP"


def test_a_packet_that_is_too_large_is_shown_by_its_beginning_and_its_size():
    with Stage(5, "maximum_packet_size 1000") as stage:
        packet = codec.encode(Publish("t", bytes(5_000)), 5)
        stage.client().send(packet[:50])
        (violation,) = stage.violations()
    assert violation["first"]["bytes"] == packet[:50].hex()
    assert violation["first"]["size"] == len(packet)
    assert violation["sequence"][-1]["size"] == len(packet)


def test_of_many_packets_in_one_read_the_last_before_it_are_shown():
    with Stage(4) as stage:
        stage.client().send(*(publish(number) for number in range(1, 101)), Pubcomp(7))
        (violation,) = stage.violations()
    words = [row["words"] for row in violation["sequence"] if row["packet"] == "PUBLISH"]
    assert [word.partition(",")[0] for word in words] == [
        f"packet id {number}" for number in range(93, 101)
    ]


def test_a_remaining_length_that_is_longer_than_it_need_be_is_part_of_the_packet():
    with Stage(4) as stage:
        one = stage.client()
        one.send("82 888000 0001 0003 61 1f 62 00")
        (violation,) = stage.violations()
    assert violation["first"]["packet"] == "SUBSCRIBE"
    assert violation["first"]["bytes"] == "82888000" + "00010003611f6200"
