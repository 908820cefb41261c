"""6 Using WebSocket as a network transport (3.1.1: 6), over memory, TCP and TLS."""

import logging

import pytest

from formats.http import accept_key
from formats.mqtt.codec import decode, encode
from formats.mqtt.connect import Connack, Connect, Will
from formats.mqtt.control import Disconnect, Pingreq, Pingresp
from formats.mqtt.publish import Publish
from formats.mqtt.stream import PacketReader
from formats.mqtt.subscribe import Subscribe, Subscription
from formats.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    FrameReader,
    encode_close,
    encode_frame,
)
from tests.harness.site import Site

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
MASK = b"\x37\xfa\x21\x3d"


def request(path="/mqtt", subprotocols="mqtt", more=""):
    offered = f"Sec-WebSocket-Protocol: {subprotocols}\r\n" if subprotocols else ""
    return (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{offered}{more}\r\n"
    ).encode()


class Browser:
    """A WebSocket client that sends the frames it is told to."""

    def __init__(self, site, version=5):
        self.site = site
        self.version = version
        self.wire = site.wire()
        self._arrived = b""
        self._frames = FrameReader(1 << 24, masked_expected=False)
        self._packets = PacketReader(1 << 24)
        self._waiting = []
        self.controls = []
        self.closed = False

    def read_until(self, end):
        while end not in self._arrived:
            data = self.wire.receive()
            assert data, self._arrived
            self._arrived += data
        head, _, self._arrived = self._arrived.partition(end)
        return head + end

    def read_all(self):
        while data := self.wire.receive():
            self._arrived += data
        return self._arrived

    def open(self, client_id="c", **options):
        self.wire.send(request())
        assert self.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        self.send(Connect(self.version, client_id, **options))
        assert self.receive().reason == 0
        return self

    def frame(self, opcode, payload=b"", fin=True, mask=MASK):
        self.wire.send(encode_frame(opcode, payload, fin=fin, mask=mask))

    def send(self, *packets):
        self.frame(BINARY, b"".join(encode(packet, self.version) for packet in packets))

    def receive(self):
        """The next packet; None once the connection is closed."""
        while not self._waiting and not self.closed:
            data, self._arrived = self._arrived or self.wire.receive(), b""
            self.closed = not data
            plain = self._frames.feed(data)
            self.controls += self._frames.take_controls()
            for byte1, body, pos, end in self._packets.feed(plain):
                self._waiting.append(decode(byte1, body, pos, end, self.version))
        return self._waiting.pop(0) if self._waiting else None

    def wait_closed(self):
        """The packets before the close; its status code is `close_code` then."""
        packets = []
        while (packet := self.receive()) is not None:
            packets.append(packet)
        return packets

    @property
    def close_code(self):
        codes = [control.code for control in self.controls if control.opcode == CLOSE]
        return codes[0] if codes else None


@pytest.fixture(params=["memory", "tcp", "tls"])
def broker(request, pki):
    mark = request.node.get_closest_marker("configuration")
    site = Site(request.param, "\n".join(mark.args) if mark else "", pki=pki)
    yield site
    site.close()


@pytest.fixture
def browser(broker, version):
    one = Browser(broker, version)
    yield one
    one.wire.close()


class TestOpeningHandshake:
    @pytest.mark.versions(5)
    @pytest.mark.statement("MQTT5-6.0.0-4", "MQTT3-6.0.0-4")
    @pytest.mark.parametrize("offered", ["mqtt", "chat, mqtt", "mqttv3.1, mqtt"])
    def test_the_subprotocol_is_mqtt(self, browser, offered):
        browser.wire.send(request(subprotocols=offered))
        head = browser.read_until(b"\r\n\r\n").decode()
        assert head.startswith("HTTP/1.1 101 ")
        assert f"Sec-WebSocket-Accept: {accept_key(KEY)}\r\n" in head
        assert "Sec-WebSocket-Protocol: mqtt\r\n" in head

    @pytest.mark.versions(3)
    def test_the_name_from_before_the_standard_is_known(self, browser):
        browser.wire.send(request(subprotocols="mqttv3.1"))
        head = browser.read_until(b"\r\n\r\n")
        assert b"Sec-WebSocket-Protocol: mqttv3.1\r\n" in head
        browser.send(Connect(3, "c"))
        assert browser.receive() == Connack(False, 0)

    @pytest.mark.versions(5)
    @pytest.mark.statement("MQTT5-6.0.0-3", "MQTT3-6.0.0-3")
    @pytest.mark.parametrize("offered", [None, "chat", "MQTT"])
    def test_without_mqtt_it_is_refused(self, browser, offered, caplog):
        browser.wire.send(request(subprotocols=offered))
        assert browser.read_all().startswith(b"HTTP/1.1 400 ")
        assert "subprotocol mqtt" in caplog.text
        assert "[MQTT5-6.0.0-3]" in caplog.text

    @pytest.mark.versions(5)
    @pytest.mark.parametrize("path", ["/", "/mqtt", "/any/where?at=all"])
    def test_the_uri_has_no_impact(self, browser, path):
        browser.wire.send(request(path))
        assert browser.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")

    @pytest.mark.versions(5)
    def test_a_page_request_is_told_to_upgrade(self, browser, caplog):
        browser.wire.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = browser.read_all()
        assert answer.startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
        assert b"Upgrade: websocket\r\n" in answer
        assert "HTTP GET / without Upgrade" in caplog.text

    @pytest.mark.versions(5)
    @pytest.mark.configuration("websockets_headers_size 1024")
    def test_an_oversized_head_is_refused_before_it_ends(self, browser):
        browser.wire.send(request(more=f"Cookie: {'x' * 2000}\r\n")[:1500])
        assert browser.read_all().startswith(b"HTTP/1.1 431 ")

    def test_request_and_first_packets_may_come_together(self, browser, version):
        frame = encode_frame(BINARY, encode(Connect(version, "c"), version), mask=MASK)
        browser.wire.send(request() + frame)
        browser.read_until(b"\r\n\r\n")
        assert browser.receive().reason == 0

    def test_everything_may_come_byte_by_byte(self, browser, version):
        frame = encode_frame(BINARY, encode(Connect(version, "c"), version), mask=MASK)
        for byte in request() + frame:
            browser.wire.send(bytes((byte,)))
        browser.read_until(b"\r\n\r\n")
        assert browser.receive().reason == 0


class TestFrames:
    @pytest.mark.statement("MQTT5-6.0.0-1", "MQTT3-6.0.0-1")
    def test_what_the_broker_sends_is_in_binary_frames(self, browser):
        browser.open()
        browser.frame(BINARY, b"\xc0\0")
        assert browser.wire.receive() == bytes.fromhex("82 02 d000")

    @pytest.mark.statement("MQTT5-6.0.0-1", "MQTT3-6.0.0-1")
    def test_a_text_frame_closes_the_connection(self, broker, browser, version, caplog):
        watcher = broker.client(version)
        watcher.connect("watcher")
        watcher.subscribe("will")
        browser.open(will=Will("will", b"gone"))
        browser.frame(TEXT, b"\xc0\0")
        assert browser.wait_closed() == []
        assert browser.close_code == 1003
        assert watcher.receive(Publish).payload == b"gone"
        document = 5 if version == 5 else 3
        assert f"WebSocket text frame [MQTT{document}-6.0.0-1]" in caplog.text

    @pytest.mark.statement("MQTT5-6.0.0-2", "MQTT3-6.0.0-2")
    @pytest.mark.parametrize("size", [1, 2, 5, 1000])
    def test_packets_are_not_aligned_on_frames(self, browser, version, size):
        """Several packets in a frame, and one in several."""
        browser.open()
        packets = [
            Subscribe(1, [Subscription("a", 0)]),
            Publish("a", b"x" * 300),
            Pingreq(),
            Publish("a", b"y"),
        ]
        data = b"".join(encode(packet, version) for packet in packets)
        for pos in range(0, len(data), size):
            browser.frame(BINARY, data[pos : pos + size])
        kinds = [type(browser.receive()) for _ in range(4)]
        assert sorted(kind.__name__ for kind in kinds) == [
            "Pingresp",
            "Publish",
            "Publish",
            "Suback",
        ]

    def test_a_message_in_fragments_is_one_stream(self, browser):
        browser.open()
        browser.frame(BINARY, b"\xc0", fin=False)
        browser.frame(PING, b"between")
        browser.frame(CONTINUATION, b"", fin=False)
        browser.frame(CONTINUATION, b"\0")
        assert browser.receive() == Pingresp()
        assert [(one.opcode, one.payload) for one in browser.controls] == [(PONG, b"between")]

    def test_an_empty_frame_is_nothing(self, browser):
        browser.open()
        browser.frame(BINARY)
        browser.send(Pingreq())
        assert browser.receive() == Pingresp()

    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (bytes.fromhex("82 02 c000"), 1002),  # not masked
            (bytes.fromhex("c2 82 00000000 c000"), 1002),  # RSV1: an extension nobody agreed on
            (bytes.fromhex("83 82 00000000 c000"), 1002),  # reserved opcode
            (bytes.fromhex("80 82 00000000 c000"), 1002),  # nothing to continue
            (bytes.fromhex("09 80 00000000"), 1002),  # fragmented ping
            (bytes.fromhex("82 ff 00000000 7fffffff 00000000"), 1009),  # too large
        ],
    )
    def test_what_rfc_6455_forbids_closes_the_connection(self, broker, browser, data, code):
        other = broker.client()
        other.connect("other")
        browser.open()
        browser.wire.send(data)
        assert browser.wait_closed() == []
        assert browser.close_code == code
        other.nothing()

    def test_a_ping_is_answered_with_its_payload(self, browser):
        browser.open()
        browser.frame(PING, b"are you there")
        browser.send(Pingreq())
        assert browser.receive() == Pingresp()
        assert [(one.opcode, one.payload) for one in browser.controls] == [(PONG, b"are you there")]

    def test_a_ping_keeps_the_websocket_alive_only(self, broker, browser):
        """3.1.2.10: what counts for Keep Alive is an MQTT Control Packet."""
        browser.open(keep_alive_s=10)
        broker.settle()
        broker.advance(14)
        browser.frame(PING)
        broker.advance(2)
        browser.wait_closed()
        assert browser.closed

    def test_a_broken_packet_in_a_frame_is_told_before_the_close_frame(self, browser, version):
        browser.open()
        browser.frame(BINARY, b"\0\0")
        packets = browser.wait_closed()
        assert [type(packet) for packet in packets] == ([Disconnect] if version == 5 else [])
        assert browser.close_code == 1000


class TestClosing:
    @pytest.mark.statement("MQTT5-3.1.2-8", "MQTT3-3.1.2-8")
    def test_close_without_disconnect_is_answered_and_publishes_the_will(
        self, broker, browser, version
    ):
        watcher = broker.client(version)
        watcher.connect("watcher")
        watcher.subscribe("will")
        browser.open(will=Will("will", b"gone"))
        browser.wire.send(encode_close(1001, mask=MASK))
        assert browser.wait_closed() == []
        assert browser.close_code == 1001
        assert watcher.receive(Publish).payload == b"gone"

    def test_disconnect_then_close_publishes_no_will(self, broker, browser, version):
        watcher = broker.client(version)
        watcher.connect("watcher")
        watcher.subscribe("will")
        browser.open(will=Will("will", b"not gone"))
        closing = encode_close(1000, mask=MASK)
        packet = encode_frame(BINARY, encode(Disconnect(), version), mask=MASK)
        browser.wire.send(packet + closing)
        assert browser.wait_closed() == []
        watcher.nothing()

    def test_packets_before_a_close_frame_count(self, broker, browser, version):
        watcher = broker.client(version)
        watcher.connect("watcher")
        watcher.subscribe("a")
        browser.open()
        packet = encode_frame(BINARY, encode(Publish("a", b"last"), version), mask=MASK)
        browser.wire.send(packet + encode_close(1000, mask=MASK))
        browser.wait_closed()
        assert watcher.receive(Publish).payload == b"last"


@pytest.mark.statement("MQTT3-7.1.1-1", "MQTT5-4.2.0-1")
def test_a_listener_serves_tcp_and_websocket_side_by_side(broker, browser, version, caplog):
    """7.1.1: one or more transports; here they meet on one port."""
    caplog.set_level(logging.INFO)
    plain = broker.client(version)
    plain.connect("plain")
    plain.subscribe("a")
    browser.open("framed")
    browser.send(Publish("a", b"x"))
    assert plain.receive(Publish).payload == b"x"
