"""MQTT over WebSocket, chapter 6: the layer, against clients of our own and of others."""

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Opcode
from websockets.protocol import State
from websockets.uri import parse_uri
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Pong,
    RejectConnection,
    RejectData,
    Request,
)

from broker.layers.layer import Layer
from broker.layers.websocket import PONGS, HandshakeRefused, WebSocketLayer
from formats import websocket
from formats.errors import ProtocolViolation
from formats.http import HTTP_SUBPROTOCOL, check_upgrade_response, upgrade_request
from formats.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    NO_STATUS,
    PING,
    PONG,
    TEXT,
    Control,
    FrameReader,
    encode_close,
    encode_frame,
)

LIMIT = 1000  # bytes
HTTP_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
REQUEST = upgrade_request("localhost", "/mqtt", HTTP_KEY)
CONNECT = bytes.fromhex("10 0c 0004 4d515454 04 02 003c 0000")
PINGREQ = b"\xc0\x00"


def frame(opcode, payload, **options):
    return encode_frame(opcode, payload, mask=b"\x12\x34\x56\x78", **options)


def chunked(data, size):
    return [data[i : i + size] for i in range(0, len(data), size)]


def frames(data):
    """What a client reads: payload, control frames."""
    reader = FrameReader(1_000_000, masked_expected=False)
    return reader.feed(data), reader.controls


@pytest.fixture
def layer():
    """A layer after its handshake."""
    layer: Layer = WebSocketLayer(LIMIT)
    assert layer.received(REQUEST) == b""
    reply = layer.pending()
    assert check_upgrade_response(reply, HTTP_KEY) == ("mqtt", len(reply))
    return layer


class TestHandshake:
    @pytest.mark.statement("MQTT5-6.0.0-4", "MQTT3-6.0.0-4")
    def test_byte_by_byte_with_frames_close_behind(self):
        layer = WebSocketLayer(LIMIT)
        data = REQUEST + frame(BINARY, CONNECT) + frame(PING, b"p")
        assert b"".join(layer.received(chunk) for chunk in chunked(data, 1)) == CONNECT
        reply = layer.pending()
        accepted = check_upgrade_response(reply, HTTP_KEY)
        assert accepted.subprotocol == layer.subprotocol == "mqtt"
        assert frames(reply[accepted.length :]) == (b"", [Control(PONG, b"p")])

    def test_request_and_frames_in_one_read(self):
        layer = WebSocketLayer(LIMIT)
        assert layer.received(REQUEST + frame(BINARY, CONNECT)) == CONNECT
        assert layer.request.target == "/mqtt"

    def test_the_reply_goes_before_what_is_sent_after_it(self):
        layer = WebSocketLayer(LIMIT)
        layer.received(REQUEST)
        data = layer.to_send(b"\x20\x02\x00\x00")
        accepted = check_upgrade_response(data, HTTP_KEY)
        assert frames(data[accepted.length :]) == (b"\x20\x02\x00\x00", [])
        assert layer.pending() == b""

    @pytest.mark.statement("MQTT5-6.0.0-3", "MQTT3-6.0.0-3")
    @pytest.mark.parametrize("offered", [(), ("chat",)])
    def test_without_mqtt_it_is_refused_in_words(self, offered):
        layer = WebSocketLayer(LIMIT)
        with pytest.raises(HandshakeRefused) as caught:
            layer.received(upgrade_request("localhost", "/", HTTP_KEY, offered))
        assert caught.value.rule is HTTP_SUBPROTOCOL
        assert "expected mqtt" in str(caught.value)
        assert layer.pending().startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert layer.received(frame(BINARY, CONNECT)) == b""
        assert layer.close() == b""

    def test_a_browser_is_told_what_this_is(self):
        layer = WebSocketLayer(LIMIT)
        with pytest.raises(HandshakeRefused, match=r"HTTP GET /favicon\.ico without Upgrade"):
            layer.received(b"GET /favicon.ico HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert layer.close().startswith(b"HTTP/1.1 426 Upgrade Required\r\n")

    def test_mqtt_without_websocket_is_refused_at_once(self):
        layer = WebSocketLayer(LIMIT)
        with pytest.raises(HandshakeRefused):
            layer.received(CONNECT)

    def test_the_head_and_the_origin_may_be_limited(self):
        with pytest.raises(HandshakeRefused, match="over 100 bytes"):
            WebSocketLayer(LIMIT, maximum_head=100).received(REQUEST)
        with pytest.raises(HandshakeRefused, match="Origin is missing"):
            WebSocketLayer(LIMIT, origins=["https://a.test"]).received(REQUEST)

    def test_nothing_is_sent_before_it(self):
        layer = WebSocketLayer(LIMIT)
        assert layer.to_send(b"") == layer.to_send(b"x") == layer.pending() == layer.close() == b""


class TestFrames:
    @pytest.mark.statement("MQTT5-6.0.0-2", "MQTT3-6.0.0-2")
    @pytest.mark.parametrize("size", [1, 3, 1000])
    def test_packets_are_not_aligned_with_frames(self, layer, size):
        data = (
            frame(BINARY, CONNECT[:3])
            + frame(BINARY, CONNECT[3:] + PINGREQ + PINGREQ[:1])
            + frame(BINARY, b"")
            + frame(BINARY, PINGREQ[1:], fin=False)
            + frame(CONTINUATION, PINGREQ)
        )
        plain = b"".join(layer.received(chunk) for chunk in chunked(data, size))
        assert plain == CONNECT + PINGREQ * 3
        assert layer.pending() == b""

    @pytest.mark.statement("MQTT5-6.0.0-1", "MQTT3-6.0.0-1")
    @pytest.mark.parametrize("size", [1, 125, 126, 65_535, 65_536])
    def test_what_is_sent_is_one_binary_frame(self, layer, size):
        data = layer.to_send(bytes(size))
        assert data[0] == 0x82
        assert frames(data) == (bytes(size), [])

    def test_nothing_to_send_is_no_frame(self, layer):
        assert layer.to_send(b"") == b""

    @pytest.mark.statement("MQTT5-6.0.0-1", "MQTT3-6.0.0-1")
    def test_a_text_frame_ends_it(self, layer):
        with pytest.raises(ProtocolViolation) as caught:
            layer.received(frame(BINARY, PINGREQ) + frame(TEXT, CONNECT))
        assert caught.value.rule is websocket.TEXT_FRAME
        assert layer.salvaged == PINGREQ
        _, [close] = frames(layer.pending())
        assert (close.opcode, close.code) == (CLOSE, 1003)
        assert layer.received(frame(BINARY, PINGREQ)) == b""
        assert layer.to_send(b"late") == layer.close() == b""

    def test_last_words_of_mqtt_go_before_the_close_frame(self, layer):
        with pytest.raises(ProtocolViolation):
            layer.received(frame(TEXT, CONNECT))
        payload, [close] = frames(layer.to_send(b"\xe0\x01\x81") + layer.close())
        assert payload == b"\xe0\x01\x81"
        assert close.code == 1003

    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (encode_frame(BINARY, b"x"), 1002),
            (frame(BINARY, bytes(LIMIT + 1)), 1009),
            (encode_close(1000, b"\xff", b"abcd"), 1007),
        ],
    )
    def test_other_violations_have_their_codes(self, layer, data, code):
        with pytest.raises(ProtocolViolation):
            layer.received(data)
        _, [close] = frames(layer.pending())
        assert close.code == code


class TestPing:
    def test_it_is_answered_with_its_payload(self, layer):
        assert layer.received(frame(PING, b"1") + frame(PONG, b"x") + frame(PING, b"2")) == b""
        assert frames(layer.pending()) == (b"", [Control(PONG, b"1"), Control(PONG, b"2")])
        assert layer.pending() == b""

    def test_a_flood_gets_the_latest_only(self, layer):
        layer.received(b"".join(frame(PING, b"%d" % i) for i in range(1000)))
        _, pongs = frames(layer.pending())
        assert pongs == [Control(PONG, b"%d" % i) for i in range(1000 - PONGS, 1000)]


class TestClose:
    @pytest.mark.parametrize("code", [1000, 1001, 4000, NO_STATUS])
    def test_of_the_peer_is_answered_with_its_code(self, layer, code):
        assert layer.received(frame(BINARY, PINGREQ) + encode_close(code, b"", b"abcd")) == PINGREQ
        assert layer.closed_by_peer
        assert frames(layer.pending()) == (b"", [Control(CLOSE, b"", code)])
        assert layer.received(frame(BINARY, PINGREQ)) == b""
        assert layer.close() == b""

    def test_of_ours_is_said_once(self, layer):
        assert not layer.closed_by_peer
        data = layer.close(1001, "é" * 100)
        _, [close] = frames(data)
        assert close == Control(CLOSE, ("é" * 61).encode(), 1001)
        assert layer.close() == layer.to_send(b"x") == b""

    def test_after_ours_only_that_of_the_peer_counts(self, layer):
        layer.close()
        assert layer.received(frame(BINARY, PINGREQ) + frame(PING, b"p")) == b""
        assert not layer.closed_by_peer
        assert layer.received(encode_close(1000, b"", b"abcd")) == b""
        assert layer.closed_by_peer
        assert layer.pending() == b""

    def test_after_ours_no_violation_counts(self, layer):
        layer.close()
        assert layer.received(frame(TEXT, b"x")) == layer.received(frame(TEXT, b"x")) == b""
        assert layer.pending() == b""

    def test_it_takes_what_is_pending_along(self, layer):
        layer.received(frame(PING, b"p"))
        assert frames(layer.close())[1] == [Control(PONG, b"p"), Control(CLOSE, b"", 1000)]


class TestAgainstWsproto:
    def test_a_whole_connection(self):
        layer, peer = WebSocketLayer(LIMIT), WSConnection(ConnectionType.CLIENT)
        layer.received(peer.send(Request("localhost", "/", subprotocols=["mqttv3.1", "mqtt"])))
        peer.receive_data(layer.pending())
        assert [type(event) for event in peer.events()] == [AcceptConnection]
        assert layer.received(peer.send(BytesMessage(CONNECT))) == CONNECT
        layer.received(peer.send(Ping(b"p")))
        peer.receive_data(layer.pending() + layer.to_send(b"\x20\x02\x00\x00"))
        pong, message = peer.events()
        assert isinstance(pong, Pong)
        assert bytes(pong.payload) == b"p"
        assert message.data == b"\x20\x02\x00\x00"
        layer.received(peer.send(CloseConnection(1000)))
        peer.receive_data(layer.pending())
        [closed] = peer.events()
        assert closed.code == 1000
        assert layer.closed_by_peer

    def test_a_refusal(self):
        layer, peer = WebSocketLayer(LIMIT), WSConnection(ConnectionType.CLIENT)
        with pytest.raises(HandshakeRefused):
            layer.received(peer.send(Request("localhost", "/", subprotocols=["chat"])))
        peer.receive_data(layer.pending())
        rejected, *body = peer.events()
        assert isinstance(rejected, RejectConnection)
        assert rejected.status_code == 400
        assert all(isinstance(event, RejectData) for event in body)
        assert b"MQTT broker" in b"".join(event.data for event in body)


class TestAgainstWebsockets:
    def test_a_whole_connection(self):
        layer = WebSocketLayer(LIMIT)
        peer = ClientProtocol(parse_uri("ws://localhost/"), subprotocols=["mqtt"])
        peer.send_request(peer.connect())
        layer.received(b"".join(peer.data_to_send()))
        peer.receive_data(layer.pending())
        assert peer.state is State.OPEN
        assert peer.subprotocol == "mqtt"
        peer.send_binary(CONNECT)
        peer.send_ping(b"p")
        assert layer.received(b"".join(peer.data_to_send())) == CONNECT
        peer.receive_data(layer.to_send(b"\x20\x02\x00\x00"))
        _accepted, pong, message = peer.events_received()
        assert (pong.opcode, bytes(pong.data)) == (Opcode.PONG, b"p")
        assert bytes(message.data) == b"\x20\x02\x00\x00"
        peer.receive_data(layer.close())
        assert peer.close_rcvd.code == 1000
        layer.received(b"".join(peer.data_to_send()))
        assert layer.closed_by_peer
        assert layer.pending() == b""
