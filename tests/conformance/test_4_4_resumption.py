"""Message delivery retry (5.0 and 3.1.1, section 4.4): what a Server sends again, and when."""

import pytest

from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.publish import Publish
from tests.conformance.messages import (
    first_answer,
    kept,
    payloads,
    publisher_of,
    receive_messages,
)


def seen(publish):
    return publish.packet_id, publish.payload, publish.qos


class TestResend:
    """4.4, 4.6: original Packet Identifiers, in the order first sent, with DUP"""

    @pytest.mark.statement("MQTT5-4.4.0-1", "MQTT3-4.4.0-1", "MQTT3-4.6.0-6", "MQTT5-3.3.1-1")
    @pytest.mark.parametrize("listener", [0, 1])
    def test_unacknowledged_publishes_go_out_again(self, client, listener):
        subscriber = kept(client, "t")
        publisher = publisher_of(client)
        for place in range(6):
            publisher.publish("t", bytes([place]), 1 + place % 2)
        sent = receive_messages(subscriber, 6)
        subscriber.send(first_answer(sent[0]))
        subscriber.send(Pubrec(sent[3].packet_id))
        assert subscriber.receive() == Pubrel(sent[3].packet_id)
        subscriber.send(Pubcomp(sent[3].packet_id))
        subscriber.fence()
        subscriber.drop()
        subscriber = client(listener=listener)
        assert subscriber.resume("subscriber").session_present == (subscriber.version > 3)
        again = receive_messages(subscriber, 4)
        assert [seen(one) for one in again] == [seen(sent[place]) for place in (1, 2, 4, 5)]
        assert all(one.dup for one in again)
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-4.4.0-1", "MQTT3-4.4.0-1")
    def test_again_and_again(self, client):
        subscriber = kept(client, "t")
        publisher_of(client).publish("t", b"x", 1)
        packet_id = subscriber.receive(Publish).packet_id
        for _ in range(3):
            subscriber.drop()
            subscriber = client()
            subscriber.resume("subscriber")
            again = subscriber.receive(Publish)
            assert (again.packet_id, again.dup) == (packet_id, True)

    @pytest.mark.statement("MQTT5-4.4.0-1", "MQTT3-4.4.0-1", "MQTT3-4.6.0-6")
    def test_pubrels_go_out_again_in_the_order_of_the_pubrecs(self, client):
        subscriber = kept(client, "t")
        publisher = publisher_of(client)
        for _ in range(3):
            publisher.publish("t", b"x", 2)
        ids = [one.packet_id for one in receive_messages(subscriber, 3)]
        order = [ids[2], ids[0], ids[1]]
        for packet_id in order:
            subscriber.send(Pubrec(packet_id))
            assert subscriber.receive() == Pubrel(packet_id)
        subscriber.drop()
        subscriber = client()
        subscriber.resume("subscriber")
        assert [subscriber.receive() for _ in range(3)] == [Pubrel(one) for one in order]
        subscriber.send(*[Pubcomp(one) for one in order])
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-4.4.0-1")
    def test_at_no_other_time(self, client):
        subscriber = kept(client, "t")
        publisher = publisher_of(client)
        publisher.publish("t", b"1", 1)
        publisher.publish("t", b"2", 2)
        publisher.publish("t", b"3", 2)
        sent = receive_messages(subscriber, 3)
        subscriber.send(Pubrec(sent[2].packet_id))
        subscriber.receive(Pubrel)
        client.site().advance(3600)
        publisher.publish("t", b"4", 1)
        assert subscriber.receive(Publish).payload == b"4"
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-4.4.0-1", "MQTT3-4.4.0-1")
    def test_what_was_never_sent_follows_without_dup(self, client):
        subscriber = kept(client, "t")
        publisher = publisher_of(client)
        publisher.publish("t", b"1", 1)
        assert subscriber.receive(Publish).dup is False
        subscriber.drop()
        publisher.publish("t", b"2", 1)
        publisher.publish("t", b"3", 2)
        subscriber = client()
        subscriber.resume("subscriber")
        messages = receive_messages(subscriber, 3)
        assert [(one.payload, one.dup) for one in messages] == [
            (b"1", True),
            (b"2", False),
            (b"3", False),
        ]
        assert len({one.packet_id for one in messages}) == 3

    def test_a_clean_start_gets_nothing(self, client):
        subscriber = kept(client, "t")
        publisher = publisher_of(client)
        publisher.publish("t", b"1", 1)
        publisher.publish("t", b"2", 2)
        receive_messages(subscriber, 2)
        subscriber.drop()
        subscriber = client()
        assert subscriber.connect("subscriber").session_present is False
        subscriber.nothing()

    @pytest.mark.parametrize("qos", [1, 2])
    def test_an_unsubscribe_does_not_call_back_what_was_sent(self, client, qos):
        subscriber = kept(client, "t")
        publisher_of(client).publish("t", b"x", qos)
        packet_id = subscriber.receive(Publish).packet_id
        subscriber.unsubscribe("t")
        subscriber.drop()
        subscriber = client()
        subscriber.resume("subscriber")
        assert subscriber.receive_message().packet_id == packet_id


class TestTakeover:
    """3.1.4 with 4.4: the session moves while its old connection is there"""

    @pytest.mark.statement("MQTT5-4.4.0-1", "MQTT3-4.4.0-1")
    @pytest.mark.parametrize("listener", [0, 1])
    def test_it_is_resumed_like_any_other(self, client, listener):
        old = kept(client, "t")
        publisher = publisher_of(client)
        publisher.publish("t", b"1", 1)
        publisher.publish("t", b"2", 2)
        sent = receive_messages(old, 2)
        old.send(Pubrec(sent[1].packet_id))
        old.receive(Pubrel)
        new = client(listener=listener)
        new.resume("subscriber")
        again = new.receive(Publish)
        assert (seen(again), again.dup) == (seen(sent[0]), True)
        assert new.receive() == Pubrel(sent[1].packet_id)
        old.wait_closed()
        new.send(Puback(again.packet_id), Pubcomp(sent[1].packet_id))
        publisher.publish("t", b"3", 1)
        assert new.receive_message().payload == b"3"
        new.nothing()

    @pytest.mark.statement("MQTT5-4.6.0-5", "MQTT3-4.6.0-6")
    def test_nothing_is_lost_or_out_of_order_while_it_moves(self, client):
        subscriber = kept(client, "t")
        publisher = publisher_of(client, listener=1)
        last = -1
        for place in range(12):
            publisher.send(Publish("t", bytes([place]), 1, packet_id=place + 1))
            if place % 3 == 2:
                subscriber = client(listener=place % 2)
                subscriber.resume("subscriber")
                while last < place:
                    message = subscriber.receive_message()
                    assert message.payload[0] <= last + 1
                    last = max(last, message.payload[0])
        subscriber.nothing()


class TestReceiveMaximum:
    """4.4 within 4.9: the new connection may allow less"""

    @pytest.mark.versions(5)
    @pytest.mark.statement("MQTT5-4.4.0-1", "MQTT5-3.3.4-9", "MQTT5-4.9.0-1")
    def test_resending_keeps_to_a_smaller_receive_maximum(self, client):
        subscriber = kept(client, "t")
        publisher = publisher_of(client)
        for place in range(4):
            publisher.publish("t", bytes([place]), 1 + place % 2)
        sent = receive_messages(subscriber, 4)
        subscriber.drop()
        publisher.publish("t", b"\x04", 1)
        subscriber = client()
        subscriber.resume("subscriber", {0x21: 1})
        for one in sent:
            again = subscriber.receive(Publish)
            assert (seen(again), again.dup) == (seen(one), True)
            subscriber.nothing()
            subscriber.acknowledge(again)
        new = subscriber.receive_message()
        assert (new.payload, new.dup) == (b"\x04", False)
        subscriber.nothing()

    @pytest.mark.versions(5)
    @pytest.mark.statement("MQTT5-4.4.0-1", "MQTT5-3.3.4-10")
    def test_pubrels_do_not_wait_for_it(self, client):
        subscriber = kept(client, "t")
        publisher = publisher_of(client)
        for payload in (b"1", b"2", b"3", b"4"):
            publisher.publish("t", payload, 2)
        sent = receive_messages(subscriber, 4)
        for one in sent[2:]:
            subscriber.send(Pubrec(one.packet_id))
            subscriber.receive(Pubrel)
        subscriber.drop()
        subscriber = client()
        subscriber.resume("subscriber", {0x21: 1})
        assert subscriber.receive(Publish).payload == b"1"
        assert subscriber.receive() == Pubrel(sent[2].packet_id)
        assert subscriber.receive() == Pubrel(sent[3].packet_id)
        subscriber.nothing()

    @pytest.mark.versions(5)
    @pytest.mark.statement("MQTT5-3.3.4-9", "MQTT5-4.9.0-2")
    def test_the_pubcomp_of_such_a_pubrel_makes_no_room_for_another_publish(self, client):
        subscriber = kept(client, "t")
        publisher = publisher_of(client)
        publisher.publish("t", b"1", 2)
        packet_id = subscriber.receive(Publish).packet_id
        subscriber.send(Pubrec(packet_id))
        subscriber.receive(Pubrel)
        subscriber.drop()
        publisher.publish("t", b"2", 1)
        publisher.publish("t", b"3", 1)
        subscriber = client()
        subscriber.resume("subscriber", {0x21: 1})
        assert subscriber.receive() == Pubrel(packet_id)
        second = subscriber.receive(Publish)
        subscriber.send(Pubcomp(packet_id))
        subscriber.nothing()
        subscriber.acknowledge(second)
        assert subscriber.receive_message().payload == b"3"

    @pytest.mark.versions(5)
    @pytest.mark.statement("MQTT5-4.3.3-6", "MQTT5-3.3.4-9")
    def test_what_is_answered_before_it_went_out_again_does_not_go_out(self, client):
        subscriber = kept(client, "t")
        publisher = publisher_of(client)
        for place, qos in enumerate((1, 1, 2, 1)):
            publisher.publish("t", bytes([place]), qos)
        sent = receive_messages(subscriber, 4)
        subscriber.drop()
        subscriber = client()
        subscriber.resume("subscriber", {0x21: 1})
        first = subscriber.receive(Publish)
        subscriber.send(Puback(sent[1].packet_id), Pubrec(sent[2].packet_id))
        assert subscriber.receive() == Pubrel(sent[2].packet_id)
        subscriber.send(Pubcomp(sent[2].packet_id))
        subscriber.nothing()
        subscriber.acknowledge(first)
        assert payloads([subscriber.receive_message()]) == [b"\x03"]
        subscriber.nothing()


class TestOtherVersion:
    """The session is the client's, whichever version it speaks next"""

    @pytest.mark.parametrize("then", [3, 4, 5])
    @pytest.mark.statement("MQTT5-4.4.0-1", "MQTT3-4.4.0-1")
    def test_it_is_resumed_at_another_protocol_version(self, client, then):
        subscriber = kept(client, "t")
        publisher = publisher_of(client, version=5)
        properties = {3: "c", 0x26: [("a", "b")]}
        for place in range(3):
            publisher.publish("t", bytes([place]), 1 + place % 2, properties=properties)
        sent = receive_messages(subscriber, 3)
        subscriber.send(Pubrec(sent[1].packet_id))
        subscriber.receive(Pubrel)
        subscriber.drop()
        publisher.publish("t", b"\x03", 1, properties=properties)
        subscriber = client(version=then)
        assert subscriber.resume("subscriber").session_present == (then > 3)
        answers = [subscriber.receive() for _ in range(4)]
        assert [seen(one) for one in answers if isinstance(one, Publish)] == [
            seen(sent[0]),
            seen(sent[2]),
            (sent[2].packet_id + 1, b"\x03", 1),
        ]
        assert [one for one in answers if isinstance(one, Pubrel)] == [Pubrel(sent[1].packet_id)]
        carried = properties if then == 5 else None
        assert all(one.properties == carried for one in answers if isinstance(one, Publish))
        subscriber.nothing()
