"""The HTTP that opens a WebSocket: requests and answers, right, wrong and against others."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request

from formats.http import (
    HTTP_SUBPROTOCOL,
    HTTP_SUBPROTOCOL_ANSWER,
    MAXIMUM_HEAD,
    HttpError,
    accept_key,
    check_upgrade_response,
    error_response,
    parse_request,
    upgrade_request,
    upgrade_response,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455, section 1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def request(*changes, line="GET /any/path?x=1 HTTP/1.1"):
    """A good request, with headers changed, added or (without a value) left out."""
    headers = {
        "Host": "localhost",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "mqtt",
    }
    for change in changes:
        name, _, value = change.partition(":")
        headers.pop(name, None)
        if value:
            headers[name] = value.strip()
    lines = [line, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def answer(data, **options):
    return upgrade_response(parse_request(data), **options)


def refusal(data, **options):
    with pytest.raises(HttpError) as caught:
        answer(data, **options)
    return caught.value


class TestRequestHead:
    def test_it_is_read_with_its_headers_and_its_size(self):
        data = request("Sec-WebSocket-Protocol: mqttv3.1 , mqtt,, x", "X-Other: a: b") + b"\x82"
        parsed = parse_request(data)
        assert (parsed.method, parsed.target) == ("GET", "/any/path?x=1")
        assert parsed.length == len(data) - 1
        assert parsed.head.values("host") == ["localhost"]
        assert parsed.head.values("x-other") == ["a: b"]
        assert parsed.head.tokens("sec-websocket-protocol") == ["mqttv3.1", "mqtt", "x"]

    def test_every_part_of_it_is_incomplete(self):
        data = request()
        for size in range(len(data)):
            assert parse_request(data[:size]) is None

    @pytest.mark.parametrize(
        "data",
        [
            b"GET / HTTP/1.1\nHost: x\r\n\r\n",
            b"GET / HTTP/1.1\rHost: x\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\x00\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
            b"GET / HTTP/1.1\r\n Host: x\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
            b"GET / HTTP/1.1\r\nno header\r\n\r\n",
            b"GET / HTTP/1.1\r\n: x\r\n\r\n",
            b"GET  / HTTP/1.1\r\n\r\n",
            b"GET /a b HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1 \r\n\r\n",
            b"GET /\r\n\r\n",
            b"G(T / HTTP/1.1\r\n\r\n",
            b"\r\n\r\n",
            b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00",
            b"\x16\x03\x01\x02\x00\x01",
        ],
    )
    def test_what_is_not_http_is_refused(self, data):
        with pytest.raises(HttpError) as caught:
            parse_request(data)
        assert caught.value.status == 400

    def test_it_has_a_limit(self):
        head = b"GET / HTTP/1.1\r\nX: "
        whole = head + b"x" * (MAXIMUM_HEAD - len(head) - 4) + b"\r\n\r\n"
        assert parse_request(whole).length == MAXIMUM_HEAD
        assert parse_request(whole[:-5]) is None
        for data in (head + b"x" * 9000, b"G" * 9000, head + b"x" * 9000 + b"\r\n\r\n"):
            with pytest.raises(HttpError) as caught:
                parse_request(data)
            assert caught.value.status == 431

    def test_the_number_of_headers_has_a_limit(self):
        with pytest.raises(HttpError) as caught:
            parse_request(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 101 + b"\r\n")
        assert caught.value.status == 431

    def test_other_versions(self):
        with pytest.raises(HttpError) as caught:
            parse_request(b"PRI * HTTP/2.0\r\n\r\n")
        assert caught.value.status == 505
        assert parse_request(b"GET / HTTP/1.0\r\n\r\n").version == "HTTP/1.0"

    @given(st.binary(max_size=300))
    def test_any_bytes_are_a_request_incomplete_or_refused(self, data):
        for begin in (b"", b"GET / HTTP/1.1\r\n", request()[:-2]):
            reply = b""
            try:
                parsed = parse_request(begin + data)
                if parsed is not None:
                    reply = upgrade_response(parsed)
            except HttpError as error:
                reply = error_response(error)
            assert reply == b"" or reply.startswith((b"HTTP/1.1 101", b"HTTP/1.1 4", b"HTTP/1.1 5"))


class TestUpgrade:
    def test_the_key_of_the_rfc(self):
        assert accept_key(KEY) == ACCEPT

    @pytest.mark.statement("MQTT5-6.0.0-4", "MQTT3-6.0.0-4")
    def test_the_subprotocol_is_mqtt(self):
        lines = answer(request()).decode().split("\r\n")
        assert lines[0] == "HTTP/1.1 101 Switching Protocols"
        assert lines[-2:] == ["", ""]
        assert "Sec-WebSocket-Protocol: mqtt" in lines
        assert f"Sec-WebSocket-Accept: {ACCEPT}" in lines

    @pytest.mark.statement("MQTT5-6.0.0-4", "MQTT3-6.0.0-4")
    @pytest.mark.parametrize("offered", ["mqttv3.1, mqtt", "x,mqtt", "mqtt,mqttv3.1", "a , mqtt"])
    def test_it_is_mqtt_whatever_else_is_offered(self, offered):
        head = answer(request(f"Sec-WebSocket-Protocol: {offered}"))
        assert b"\r\nSec-WebSocket-Protocol: mqtt\r\n" in head

    def test_old_clients_get_the_only_one_they_know(self):
        head = answer(request("Sec-WebSocket-Protocol: mqttv3.1"))
        assert b"\r\nSec-WebSocket-Protocol: mqttv3.1\r\n" in head

    @pytest.mark.statement("MQTT5-6.0.0-3", "MQTT3-6.0.0-3")
    @pytest.mark.parametrize("offered", ["", "x", "MQTT", "mqtt5", "chat, superchat"])
    def test_without_mqtt_there_is_no_websocket(self, offered):
        error = refusal(request(f"Sec-WebSocket-Protocol:{offered}"))
        assert error.status == 400
        assert error.rule is HTTP_SUBPROTOCOL
        assert (offered or "nothing") in error.reason

    def test_names_and_tokens_have_no_case(self):
        data = request("Upgrade: h2c, WebSocket", "Connection: keep-alive, UPGRADE")
        assert answer(data.replace(b"Sec-WebSocket-Key", b"sec-websocket-KEY"))

    def test_several_headers_are_one_list(self):
        data = request("Sec-WebSocket-Protocol: x").replace(
            b"Host:", b"Sec-WebSocket-Protocol: mqtt\r\nHost:"
        )
        assert b"Protocol: mqtt\r\n" in answer(data)

    def test_an_extension_is_not_accepted(self):
        data = request("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
        assert b"xtension" not in answer(data)

    @pytest.mark.parametrize(
        ("data", "status", "words"),
        [
            (request(line="POST / HTTP/1.1"), 405, "POST"),
            (request(line="GET / HTTP/1.0"), 505, "HTTP/1.0"),
            (request("Upgrade:"), 426, "without Upgrade"),
            (request("Upgrade: h2c"), 426, "without Upgrade"),
            (request("Connection:"), 400, "Connection"),
            (request("Connection: close"), 400, "Connection"),
            (request("Host:"), 400, "Host"),
            (request("host: twice"), 400, "2 Host"),
            (request("Sec-WebSocket-Version: 8"), 426, "8"),
            (request("Sec-WebSocket-Version:"), 426, "is missing"),
            (request("Sec-WebSocket-Key:"), 400, "Sec-WebSocket-Key is missing"),
            (request("Sec-WebSocket-Key: c2hvcnQ="), 400, "c2hvcnQ="),
            (request("Sec-WebSocket-Key: not base64!"), 400, "not base64!"),
            (request("Sec-WebSocket-Key: \xe9"), 400, "Key"),
            (request(f"sec-websocket-key: {KEY}"), 400, "Sec-WebSocket-Key"),
            (request("Content-Length: 3"), 400, "body"),
            (request("Transfer-Encoding: chunked"), 400, "body"),
        ],
    )
    def test_refused_in_words(self, data, status, words):
        error = refusal(data)
        assert error.status == status
        assert words in str(error)

    def test_origins(self):
        data = request("Origin: https://a.test")
        assert answer(data, origins=["https://b.test", "https://a.test"])
        assert refusal(data, origins=["https://b.test"]).status == 403
        assert refusal(request(), origins=["https://b.test"]).status == 403


class TestErrorAnswer:
    def test_a_browser_is_told_what_this_is(self):
        data = error_response(refusal(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        head, body = data.split(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
        assert b"\r\nUpgrade: websocket" in head
        assert b"\r\nContent-Type: text/plain" in head
        assert f"Content-Length: {len(body)}".encode() in head
        assert b"MQTT broker" in body

    def test_the_version_that_is_spoken(self):
        data = error_response(refusal(request("Sec-WebSocket-Version: 99")))
        assert data.startswith(b"HTTP/1.1 426 ")
        assert b"\r\nSec-WebSocket-Version: 13\r\n" in data

    def test_the_method_that_is_spoken(self):
        assert b"\r\nAllow: GET\r\n" in error_response(refusal(request(line="PUT / HTTP/1.1")))


class TestClient:
    @pytest.mark.statement("MQTT5-6.0.0-3", "MQTT3-6.0.0-3")
    def test_it_offers_mqtt(self):
        parsed = parse_request(upgrade_request("localhost:9001", "/mqtt", KEY))
        assert parsed.head.tokens("sec-websocket-protocol") == ["mqtt"]

    def test_it_understands_our_server(self):
        data = answer(upgrade_request("localhost", "/", KEY))
        for size in range(len(data)):
            assert check_upgrade_response(data[:size], KEY) is None
        assert check_upgrade_response(data + b"\x82\x00", KEY) == ("mqtt", len(data))

    @pytest.mark.parametrize(
        ("old", "new", "words"),
        [
            (b"101 Switching Protocols", b"200 OK", "200 OK"),
            (b"HTTP/1.1", b"HTTP/1.0", "status line"),
            (b"Upgrade: websocket", b"Upgrade: h2c", "Upgrade"),
            (b"Connection: Upgrade", b"Connection: close", "Connection"),
            (ACCEPT.encode(), KEY.encode(), "Accept"),
            (b"Connection:", b"Sec-WebSocket-Extensions: x\r\nConnection:", "extension"),
        ],
    )
    def test_it_refuses_other_answers(self, old, new, words):
        data = answer(request())
        assert old in data
        with pytest.raises(HttpError) as caught:
            check_upgrade_response(data.replace(old, new), KEY)
        assert words in str(caught.value)

    @pytest.mark.statement("MQTT5-6.0.0-4", "MQTT3-6.0.0-4")
    @pytest.mark.parametrize("line", [b"", b"Sec-WebSocket-Protocol: chat\r\n"])
    def test_it_refuses_a_server_without_mqtt(self, line):
        data = answer(request()).replace(b"Sec-WebSocket-Protocol: mqtt\r\n", line)
        with pytest.raises(HttpError) as caught:
            check_upgrade_response(data, KEY)
        assert caught.value.rule is HTTP_SUBPROTOCOL_ANSWER


class TestAgainstOthers:
    def test_wsproto_as_client(self):
        peer = WSConnection(ConnectionType.CLIENT)
        data = peer.send(Request("localhost", "/mqtt", subprotocols=["mqtt"]))
        peer.receive_data(answer(data))
        [accepted] = peer.events()
        assert isinstance(accepted, AcceptConnection)
        assert accepted.subprotocol == "mqtt"

    def test_wsproto_as_server(self):
        peer = WSConnection(ConnectionType.SERVER)
        peer.receive_data(upgrade_request("localhost", "/mqtt", KEY))
        [asked] = peer.events()
        assert asked.subprotocols == ["mqtt"]
        data = peer.send(AcceptConnection(subprotocol="mqtt"))
        assert check_upgrade_response(data, KEY).subprotocol == "mqtt"

    def test_websockets_as_client(self):
        peer = ClientProtocol(parse_uri("ws://localhost/mqtt"), subprotocols=["mqtt"])
        peer.send_request(peer.connect())
        peer.receive_data(answer(b"".join(peer.data_to_send())))
        assert peer.state is State.OPEN
        assert peer.subprotocol == "mqtt"

    def test_websockets_as_server(self):
        peer = ServerProtocol(subprotocols=["mqtt"])
        key = base64.b64encode(bytes(range(16))).decode()
        peer.receive_data(upgrade_request("localhost", "/mqtt", key))
        [asked] = peer.events_received()
        peer.send_response(peer.accept(asked))
        data = b"".join(peer.data_to_send())
        assert check_upgrade_response(data, key).subprotocol == "mqtt"
        assert peer.state is State.OPEN
