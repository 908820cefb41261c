"""What an access control list does to PUBLISH, SUBSCRIBE, deliveries and wills, in each version."""

import pytest

from formats.mqtt.connect import Will
from formats.mqtt.publish import Publish

NOT_AUTHORIZED = 0x87
ACL = """
topic read news/#
user joe
topic a/#
topic deny a/secret/#
topic write w/+
topic read r/+
user ann
topic #
pattern inbox/%u/#
"""


class TestPublish:
    """5.0, 3.4.2.1 and 3.5.2.1; 3.1.1, 3.3.5"""

    @pytest.mark.statement("MQTT3-3.3.5-2")
    @pytest.mark.parametrize("qos", [0, 1, 2])
    def test_what_may_not_be_written_goes_nowhere(self, site, user, version, qos):
        broker = site(ACL)
        ann, joe = user(broker, "ann"), user(broker, "joe")
        ann.subscribe("#", qos=2)
        for topic in ("a/secret/x", "r/x", "other"):
            answer = joe.publish(topic, b"no", qos, retain=True)
            if qos:
                assert answer.reason == (NOT_AUTHORIZED if version == 5 else 0)
            late = user(broker, "ann", "late")
            late.subscribe(topic)
            late.nothing()
        ann.nothing()
        joe.publish("a/b", b"yes", qos)
        assert ann.receive_message().payload == b"yes"

    @pytest.mark.versions(5)
    def test_a_refused_publish_has_its_packet_id_free_again(self, site, user):
        joe = user(site(ACL), "joe")
        for _ in range(3):
            joe.send(Publish("other", b"", 2, packet_id=7))
            assert joe.receive().reason == NOT_AUTHORIZED

    @pytest.mark.parametrize("qos", [0, 1])
    def test_the_short_way_looks_at_each_topic(self, site, user, qos):
        broker = site(ACL, configuration="conformance off")
        ann, joe = user(broker, "ann"), user(broker, "joe")
        ann.subscribe("#", qos=1)
        for number in range(5):
            joe.publish("a/b", b"%d" % number, qos)
            joe.publish("a/secret/b", b"", qos)
            joe.publish("w/b", b"%d" % number, qos)
        received = [(one.topic, one.payload) for one in ann.receive_messages()]
        numbers = [b"%d" % number for number in range(5)]
        assert received == [(topic, n) for n in numbers for topic in ("a/b", "w/b")]

    @pytest.mark.versions(5)
    def test_a_topic_alias_is_looked_at_as_its_topic(self, site, user):
        joe = user(site(ACL), "joe")
        assert joe.publish("a/b", b"", 1, properties={0x23: 1}).reason == 0x10
        assert joe.publish("other", b"", 1, properties={0x23: 2}).reason == NOT_AUTHORIZED
        assert joe.publish("", b"", 1, properties={0x23: 1}).reason == 0x10
        assert joe.publish("", b"", 1, properties={0x23: 2}).reason == NOT_AUTHORIZED

    def test_anonymous_clients_have_lines_of_their_own(self, site, user):
        broker = site(ACL)
        ann, nobody = user(broker, "ann"), user(broker, None)
        ann.publish("news/today", b"good", retain=True)
        nobody.subscribe("news/#")
        assert nobody.receive_message().payload == b"good"
        ann.subscribe("#")
        assert ann.receive_message().topic == "news/today"
        nobody.publish("news/today", b"bad")
        ann.nothing()


class TestSubscribe:
    """5.0, 3.9.3; 3.1.1, 3.9.3; 3.1, 3.8"""

    def test_what_may_not_be_read_is_refused(self, site, user, version):
        joe = user(site(ACL), "joe")
        refused = {3: 0, 4: 0x80, 5: NOT_AUTHORIZED}[version]
        reasons = joe.subscribe("a/b", "other", "w/x", "r/+", "a/secret/#", "#", qos=1)
        assert reasons == [1, refused, refused, 1, refused, 1]

    def test_a_refused_filter_gets_nothing(self, site, user):
        broker = site(ACL)
        ann, joe = user(broker, "ann"), user(broker, "joe")
        joe.subscribe("other")
        ann.publish("other", b"x", retain=True)
        joe.nothing()

    @pytest.mark.versions(5)
    def test_the_filter_of_a_shared_subscription_counts(self, site, user):
        joe = user(site(ACL), "joe")
        assert joe.subscribe("$share/g/a/b", "$share/g/other") == [0, NOT_AUTHORIZED]


class TestDelivery:
    @pytest.mark.parametrize("qos", [0, 1, 2])
    def test_a_wildcard_brings_only_what_may_be_read(self, site, user, qos):
        broker = site(ACL, listeners=2)
        ann, joe = user(broker, "ann"), user(broker, "joe", listener=1)
        joe.subscribe("#", qos=2)
        topics = ["a/b", "a/secret/b", "w/x", "r/x", "other", "inbox/joe/1", "inbox/ann/1"]
        for _ in range(2):
            for topic in topics:
                ann.publish(topic, b"", qos)
            received = [one.topic for one in joe.receive_messages()]
            assert received == ["a/b", "r/x", "inbox/joe/1"]

    def test_so_it_is_with_retained_messages(self, site, user):
        broker = site(ACL)
        ann, joe = user(broker, "ann"), user(broker, "joe")
        for topic in ("a/b", "a/secret/b", "other"):
            ann.publish(topic, b"", retain=True)
            ann.publish(topic, b"x", retain=True)
        joe.subscribe("#")
        assert [one.topic for one in joe.receive_messages()] == ["a/b"]

    def test_so_it_is_with_what_waits_for_a_client(self, site, user):
        broker = site(ACL)
        ann, joe = user(broker, "ann"), user(broker, "joe", kept=True)
        joe.subscribe("#", qos=1)
        joe.drop()
        for topic in ("a/b", "other", "r/x"):
            ann.publish(topic, b"", 1)
        again = user(broker, "joe", kept=True)
        assert [one.topic for one in again.receive_messages()] == ["a/b", "r/x"]

    @pytest.mark.versions(5)
    def test_a_shared_message_goes_to_a_member_that_may_have_it(self, site, user):
        broker = site(ACL)
        ann, joe, bea = (user(broker, "ann"), user(broker, "joe"), user(broker, "ann", "bea"))
        for member in (joe, bea):
            member.subscribe("$share/g/#", qos=1)
        for _ in range(4):
            assert ann.publish("other", b"", 1).reason == 0
        assert [one.topic for one in bea.receive_messages()] == ["other"] * 4
        joe.nothing()
        bea.disconnect()
        assert ann.publish("other", b"", 1).reason == 0x10

    def test_another_user_with_the_client_id_does_not_get_what_it_may_not_read(self, site, user):
        broker = site(ACL)
        bea = user(broker, "ann", "bea")
        one = user(broker, "ann", "same", kept=True)
        one.subscribe("#", qos=1)
        one.drop()
        bea.publish("other", b"", 1)
        bea.publish("a/b", b"", 1)
        again = user(broker, "joe", "same", kept=True)
        assert [message.topic for message in again.receive_messages()] == ["a/b"]
        bea.publish("other", b"", 1)
        bea.publish("r/x", b"", 1)
        assert [message.topic for message in again.receive_messages()] == ["r/x"]

    def test_the_topics_of_the_broker_need_a_line_too(self, site, user):
        broker = site(
            "user joe\ntopic #\nuser ann\ntopic read $SYS/#", configuration="sys_interval 1"
        )
        joe, ann = user(broker, "joe"), user(broker, "ann")
        joe.subscribe("$SYS/broker/version")
        joe.nothing()
        ann.subscribe("$SYS/broker/version")
        assert ann.receive_message().topic == "$SYS/broker/version"


class TestWill:
    def test_a_connect_whose_will_may_not_be_published_is_refused(self, site, version):
        broker = site(ACL)
        one = broker.client(version)
        will = Will("other", b"gone", 1, False)
        connack = one.connect("c", user_name="joe", password=b"x", will=will)
        assert connack.reason == (NOT_AUTHORIZED if version == 5 else 5)
        assert one.wait_closed() == []

    def test_a_will_that_may_be_published_is(self, site, user):
        broker = site(ACL)
        ann = user(broker, "ann")
        ann.subscribe("#")
        user(broker, "joe", will=Will("a/gone", b"", 0, False)).drop()
        assert ann.receive_message().topic == "a/gone"


class TestPerListener:
    def test_each_listener_has_its_own_list(self, files, version):
        from tests.harness.site import Site

        one, other = files.write("one", "topic a"), files.write("other", "topic b")
        text = (
            "per_listener_settings true\n"
            f"listener 0 127.0.0.1\nallow_anonymous true\nacl_file {one}\n"
            f"listener 0 127.0.0.1\nallow_anonymous true\nacl_file {other}\n"
            "listener 0 127.0.0.1\nallow_anonymous true\n"
        )
        site = Site("memory", text, listeners=0)
        clients = [site.client(version, listener) for listener in range(3)]
        for place, client in enumerate(clients):
            assert client.connect(f"c{place}").reason == 0
            client.subscribe("a", "b")
        for topic in ("a", "b"):
            clients[2].publish(topic, b"")
        received = [[one.topic for one in client.receive_messages()] for client in clients]
        assert received == [["a"], ["b"], ["a", "b"]]
        site.close()
