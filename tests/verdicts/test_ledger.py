"""What is recorded of whom: clients and their connections, counts, and no secrets."""

import json
import threading

import pytest

from formats.mqtt import codec
from formats.mqtt.acks import Pubcomp
from formats.mqtt.connect import Connect
from formats.mqtt.control import Auth, Disconnect, Pingreq
from formats.mqtt.publish import Publish
from formats.websocket import BINARY, TEXT, encode_frame
from tests.harness.site import TRANSPORTS
from tests.harness.wires import SocketWire
from tests.verdicts.deliveries import publish, say
from tests.verdicts.support import NAMES, Stage, ended

ANY = pytest.mark.parametrize("version", [3, 4, 5], ids=NAMES.get)


class TestClients:
    def test_one_that_comes_with_several_versions(self):
        with Stage(5, transport="tcp") as stage:
            for version in (3, 5, 4, 5):
                stage.client("c", version=version).drop()
                ended(stage)
            one = stage.client("c", version=4)
            say(one, Pubcomp(7))
            one.fence()
            one.drop()
            ended(stage)
            say(stage.client("c", version=5), Pubcomp(7), Pubcomp(8), Pingreq())
            stage.site.clients[-1].receive()
            report = stage.report()
        (client,) = report["clients"]
        assert client["client_id"] == "c"
        assert client["protocols"] == ["3.1", "3.1.1", "5.0"]
        assert client["transports"] == ["tcp"]
        assert client["connections"] == 6
        found = {one["document"]: one for one in client["violations"]}
        assert found["mqtt-3.1.1"]["first"]["connection"] == 5
        assert found["mqtt-5.0"]["first"]["connection"] == 6
        assert (found["mqtt-3.1.1"]["count"], found["mqtt-5.0"]["count"]) == (1, 2)

    def test_one_that_comes_over_several_transports(self):
        with Stage(5, transport="tcp") as stage:
            stage.client("c").drop()
            ended(stage)
            stage.site.transport = "ws"
            stage.client("c").drop()
            ended(stage)
            (client,) = stage.report()["clients"]
        assert client["transports"] == ["tcp", "ws"]

    def test_the_same_breach_on_several_connections_is_one(self):
        with Stage(5, transport="tcp") as stage:
            for _ in range(3):
                one = stage.client("c")
                say(one, Pubcomp(7))
                one.disconnect()
                one.drop()
                ended(stage)
            (client,) = stage.report()["clients"]
        (violation,) = client["violations"]
        assert (violation["count"], violation["first"]["connection"]) == (3, 1)

    def test_without_a_connect_it_is_known_by_its_address(self):
        with Stage(5, transport="tcp") as stage:
            one = stage.raw()
            one.send(Pingreq())
            one.wait_closed()
            report = stage.report()
        (client,) = report["clients"]
        assert client["client_id"] is None
        assert client["address"].startswith("127.0.0.1:")
        assert client["protocols"] == []
        assert len(client["violations"]) == 1

    def test_an_assigned_client_id_is_its_name(self):
        with Stage(5) as stage:
            one = stage.client("")
            (client,) = stage.report()["clients"]
        assert client["client_id"] == one.connack.properties[0x12]

    def test_of_a_long_client_id_the_beginning_is_kept(self):
        with Stage(5) as stage:
            for name in ("é" * 32_767, "a" * 65_535):
                say(stage.client(name), Pubcomp(7))
            report = stage.report()
        assert [one["client_id"] for one in report["clients"]] == ["é" * 1_000, "a" * 1_000]
        assert len(json.dumps(report)) < 60_000

    def test_who_only_looks_whether_the_port_is_open_is_no_client(self):
        with Stage(5, transport="tcp") as stage:
            for data in (
                b"",
                b"\x10",
                b"GET / HTTP/1.1\r\n\r\n",
                b"\x16\x03\x01\x02\0\x01",
                b"\xff",
            ):
                wire = SocketWire(stage.site, stage.site.broker.ports[0])
                if data:
                    wire.send(data)
                wire.close()
            stage.client("c")
            report = stage.report()
        assert [one["client_id"] for one in report["clients"]] == ["c"]

    def test_what_the_broker_does_not_like_is_no_breach_by_itself(self):
        refusing = "maximum_qos 1\nallow_zero_length_clientid false\nretain_available false"
        with Stage(5, f"{refusing}\naccept_protocol_versions 3.1.1 5") as stage:
            for notation in (
                '10 .. "MQTT" 05 16 0000 [] "a" [] "w" 0000',  # Will QoS 2
                '10 .. "MQTT" 05 26 0000 [] "b" [] "w" 0000',  # Will Retain
                '10 .. "MQTT" 05 02 0000 [] ""',
                '10 .. "MQTT" 06 02 0000 [] "c"',
                '10 .. "MQIsdp" 03 02 0000 "d"',
                '10 .. "MQTT" 04 06 0000 "e" "$SYS/w" 0000',
            ):
                one = stage.raw()
                one.version = 5 if "MQTT" in notation else 4
                stage.perform(notation)
            stage.raw()
            stage.site.advance(60)
            assert stage.violations() == []


class TestCounts:
    @ANY
    @pytest.mark.parametrize("transport", TRANSPORTS)
    def test_packets_and_bytes_of_mqtt(self, version, transport, pki):
        with Stage(version, transport=transport, pki=pki) as stage:
            one = stage.client("c", keep_alive_s=10)
            connect = codec.encode(Connect(version, "c", True, 10), version)
            connack = codec.encode(one.connack, version)
            sent = [publish(7), Publish("t", bytes(20_000)), Pingreq()]
            data = b"".join(codec.encode(packet, version) for packet in sent)
            for start in range(0, len(data), 3_000):
                one.send(data[start : start + 3_000])
            answers = [one.receive() for _ in range(2)]
            stage.site.settle()
            (client,) = stage.report()["clients"]
        received = b"".join(codec.encode(packet, version) for packet in answers)
        assert client["packets_received"] == 4
        assert client["bytes_received"] == len(connect) + len(data)
        assert client["packets_sent"] == 3
        assert client["bytes_sent"] == len(connack) + len(received)
        assert client["transports"] == [{"memory": "tcp"}.get(transport, transport)]

    def test_first_and_last_seen(self):
        with Stage(5) as stage:
            one = stage.client("c")
            stage.site.advance(7)
            one.fence()
            stage.site.advance(5)
            (client,) = stage.report()["clients"]
        assert client["first_seen"].endswith("08:16:40.000000+00:00")
        assert client["last_seen"].endswith("08:16:47.000000+00:00")


class TestSecrets:
    SECRET = b"open, sesame!"

    def check(self, report):
        text = json.dumps(report)
        assert self.SECRET.decode() not in text
        assert self.SECRET.hex() not in text
        assert self.SECRET[5:].hex() not in text

    def connect(self, version, client_id="c"):
        return codec.encode(Connect(version, client_id, True, 0, "user", self.SECRET), version)

    @ANY
    def test_no_password(self, version):
        with Stage(version) as stage:
            one = stage.raw()
            one.send(self.connect(version), Pubcomp(7))
            say(one, Pubcomp(8), self.connect(version))
            late = stage.client("late")
            late.send(Disconnect(), Pingreq(), self.connect(version))
            stage.raw().send(self.connect(version) + b"\0")
            whole = self.connect(version)
            stage.raw().send(whole[:1] + bytes((whole[1] + 2,)) + whole[2:] + b"\xff\xff")
            stage.raw().send(whole[:1] + b"\xff\xff\xff\xff\x7f" + whole[2:])
            stage.raw().send(whole.replace(b"user", b"us\0r"))
            stage.raw().send(whole.replace(b"user", b"us\xffr"))
            stage.raw().send(whole.replace(b"MQTT", b"MQTX").replace(b"MQIsdp", b"MQXsdp"))
            stage.raw().send(Pingreq(), whole)
            report = stage.report()
        assert len(report["clients"]) >= 5
        self.check(report)

    def test_no_authentication_data(self):
        with Stage(5, "auth_method CHALLENGE\nauth_challenge first one") as stage:
            one = stage.raw()
            properties = {0x15: "CHALLENGE", 0x16: self.SECRET}
            one.send(Connect(5, "c", properties=properties))
            one.receive(Auth)
            say(one, Auth(0x19, properties))
            report = stage.report()
        assert report["clients"][0]["violations"] != []
        self.check(report)

    @pytest.mark.parametrize(
        ("opcode", "mask"), [(TEXT, bytes(4)), (BINARY, None), (3, bytes(4))], ids=str
    )
    def test_none_in_frames_that_break_a_rule(self, opcode, mask):
        with Stage(5, transport="ws") as stage:
            one = stage.raw()
            one.wire.send_raw(encode_frame(opcode, self.connect(5), mask=mask))
            one.wire.receive()
            report = stage.report()
        assert report["clients"][0]["violations"] != []
        self.check(report)

    def test_none_of_what_is_not_encrypted_where_it_should_be(self, pki):
        with Stage(5, transport="tls", pki=pki) as stage:
            wire = SocketWire(stage.site, stage.site.broker.ports[0])
            wire.send(self.connect(5))
            wire.receive()
            wire.close()
            self.check(stage.report())


class TestWhileConnectionsLive:
    def test_asking_twice_changes_nothing(self):
        with Stage(5, transport="tcp") as stage:
            for _ in range(2):
                one = stage.client("c")
                say(one, Pubcomp(7))
                one.disconnect()
                one.drop()
                ended(stage)
            one = stage.client("c")
            say(one, Pubcomp(7), publish(1))
            one.receive()
            reports = [stage.report() for _ in range(3)]
        for report in reports:
            assert report["clients"] == reports[0]["clients"]
            (violation,) = report["clients"][0]["violations"]
            assert (violation["count"], violation["first"]["connection"]) == (3, 1)

    def test_while_several_threads_serve(self):
        with Stage(5, "conformance_max_clients 20", "tcp", listeners=3) as stage:
            failures = []
            over = threading.Event()

            def serve(listener):
                try:
                    for number in range(30):
                        one = stage.client(f"{listener}.{number % 10}", listener=listener)
                        one.send(publish(1), publish(1), publish(2, 2), publish(3, 1, True))
                        one.fence()
                        one.drop()
                except Exception as error:  # for the thread of the test
                    failures.append(error)

            def look():
                try:
                    while not over.is_set():
                        json.dumps(stage.report())
                except Exception as error:
                    failures.append(error)

            threads = [threading.Thread(target=serve, args=(place,)) for place in range(3)]
            looking = threading.Thread(target=look)
            for thread in (*threads, looking):
                thread.start()
            for thread in threads:
                thread.join()
            over.set()
            looking.join()
            assert failures == []
            ended(stage)
            report = stage.report()
        assert len(report["clients"]) == 20
        connections = sum(one["connections"] for one in report["clients"])
        assert connections + report["dropped"]["clients"] == 90
        for client in report["clients"]:
            assert {one["count"] for one in client["violations"]} == {client["connections"]}
