"""What is fuzzed: functions of any bytes that raise when something is wrong with us.

`python -m tests.fuzz` and atheris call them with bytes of their own, the tests with those of
Hypothesis and of the corpus. Each returns a word for what the bytes were, so that a run can tell
whether it got anywhere.
"""

# These are targets, not tests: an error is one of the outcomes.
# ruff: noqa: PT017

import json
import re
import tempfile
from functools import cache
from pathlib import Path

from broker.authentication.method import Continue, Failure, Success
from broker.authentication.methods import Methods
from broker.behaviours import BehaviourError
from broker.broker import ignored_statements, make_context
from broker.config import ConfigError, Configuration
from broker.guard.acl_file import read_acl
from broker.guard.password_file import read_passwords
from broker.layers.detect import Kind, detect
from broker.layers.websocket import WebSocketLayer
from broker.settings import Settings
from broker.topics.filters import matches
from formats.errors import ProtocolViolation, Rule
from formats.http import (
    HttpError,
    check_upgrade_response,
    error_response,
    parse_request,
    upgrade_request,
    upgrade_response,
)
from formats.mqtt.codec import decode, encode
from formats.mqtt.packet_types import PACKET_NAMES
from formats.websocket import CLOSE_CODES, FrameReader
from oracle.description import LONGEST_WORDS, NOTHING, describe
from oracle.trace.masking import masked
from oracle.trace.splitting import Splitter, split
from persistence.errors import StoreError
from persistence.rows import decode_row
from persistence.shapes import SHAPES, checked
from tests.wire.reading import decode_all

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HEAD = upgrade_request("localhost", "/mqtt", KEY)
LIMIT = 4_096  # bytes of a WebSocket frame and of a head of HTTP
PLACE = re.compile(r"(fuzz:\d+|TOUCHSTONE_.*|command line|default|auth_user)(: |$)", re.DOTALL)
# Where a pickle names a place of its memo by a large number, and Python makes room for as many.
LARGE_MEMO = re.compile(rb"r(?!..\0\0).{4}|p[0-9 _+-]{6}", re.DOTALL)


def chunked(data, size):
    return [data[start : start + size] for start in range(0, len(data), size)]


def outcome(call, *arguments):
    """What it returned, or the rule that it named."""
    try:
        return call(*arguments)
    except ProtocolViolation as violation:
        return violation.rule


def fuzz_codecs(data):
    """A version and a stream, in whole and byte by byte; and a packet of exactly these bytes."""
    if len(data) < 2:
        return "short"
    version, stream = 3 + data[0] % 3, data[1:]
    packets = outcome(decode_all, [stream], version)
    if len(stream) < 200:
        assert outcome(decode_all, chunked(stream, 1), version) == packets
    one = outcome(decode, stream[0], stream, 1, len(stream), version)
    found = [*(packets if isinstance(packets, list) else ()), one]
    read = [packet for packet in found if not isinstance(packet, Rule)]
    for packet in read:
        assert decode_all([encode(packet, version)], version) == [packet]
    return "packets" if read else "violation"


def fuzz_splitting(data):
    """A stream that the oracle cuts and describes: nothing is lost, and all of it has words."""
    if len(data) < 2:
        return "short"
    size, stream = 1 + data[0] % 64, data[1:]
    whole = split(stream)
    assert b"".join(whole) == stream
    splitter = Splitter()
    pieces = [piece for chunk in chunked(stream, size) for piece in splitter.feed(chunk)]
    pieces += splitter.finish()
    assert b"".join(piece.data for piece in pieces) == stream
    assert all(len(piece.data) == piece.size for piece in pieces)
    if not splitter.malformed:
        assert [piece.data for piece in pieces] == whole
    short = Splitter(8)
    cut = [*short.feed(stream), *short.finish()]
    assert [piece.size for piece in cut] == [len(piece) for piece in whole]
    described = 0
    for packet in whole[:20]:
        for version in (0, 3, 4, 5):
            hidden = masked(packet, version)
            assert len(hidden) == len(packet)
            assert masked(hidden, version) == hidden
            for to_client in (False, True):
                described += not check_description(packet, version, to_client, 0)
                check_description(packet[:20], version, to_client, len(packet))
    return "described" if described else "wrong"


def check_description(packet, version, to_client, size):
    """Whether it says that something is wrong."""
    description = describe(packet, version, to_client, size)
    assert description.name in PACKET_NAMES or description.name == NOTHING
    assert len(description.words) <= LONGEST_WORDS
    assert description.words == "" or description.words.isprintable()
    json.dumps(description.fields, allow_nan=False).encode()
    return "error" in description.fields


def fuzz_rows(data):
    """A stored row: values, or an error of the store that says so."""
    if LARGE_MEMO.search(data):
        return "skipped"  # docs/fuzzing.md
    try:
        row = decode_row(data)
    except StoreError as error:
        assert str(error)
        return "unreadable"
    fitting = 0
    for table in SHAPES:
        for key in (1, "a", (1, "a"), row):
            try:
                assert list(checked(table, [(key, row)])) == [(key, row)]
                fitting += 1
            except StoreError as error:
                assert len(str(error)) < 400
    return "a row" if fitting else "another shape"


def read_frames(chunks, limit, masked_expected):
    """Everything that the frames carried, and the rule that ended it."""
    reader = FrameReader(limit, masked_expected)
    plain, rule = b"", None
    for chunk in chunks:
        try:
            plain += reader.feed(chunk)
        except ProtocolViolation as violation:
            plain += reader.salvaged
            rule = violation.rule
            break
    return plain, reader.take_controls(), rule


def fuzz_frames(data):
    """WebSocket frames: the same however they arrive; and the server's end of it."""
    if len(data) < 2:
        return "short"
    limit, size, stream = 2 ** (data[0] & 15), 1 + (data[0] >> 4), data[1:]
    whole = None
    for masked_expected in (False, True):
        whole = read_frames([stream], limit, masked_expected)
        assert read_frames(chunked(stream, size), limit, masked_expected) == whole
        assert whole[2] is None or whole[2] in CLOSE_CODES
    check_layer(chunked(HEAD + stream, 40 * size), limit)
    plain, controls, rule = whole
    if rule is not None:
        return "violation"
    return "payload" if plain else "controls" if controls else "nothing yet"


def check_layer(chunks, limit):
    """What the server's end says is HTTP, then right frames to which a close frame is the end."""
    layer = WebSocketLayer(limit, LIMIT)
    said = b""
    for chunk in chunks:
        try:
            layer.received(chunk)
        except ProtocolViolation:
            said += layer.pending()
            break
        said += layer.pending()
    said += layer.to_send(b"one more")
    said += layer.close()
    accepted = check_upgrade_response(said, KEY)
    reader = FrameReader(LIMIT, masked_expected=False)
    reader.feed(said[accepted.length :])
    assert reader.closed
    assert layer.received(b"\xff") == b""
    assert layer.to_send(b"more") == b""


def fuzz_http(data):
    """The head of a request, or of an answer: read, refused or awaited, and always answered."""
    try:
        check_upgrade_response(data, KEY, limit=LIMIT)
    except HttpError as error:
        assert error.reason
    try:
        request = parse_request(data, LIMIT)
        if request is None:
            assert len(data) < LIMIT
            return "awaited"
        assert parse_request(data[: request.length], LIMIT) == request
        assert parse_request(data[: request.length - 1], LIMIT) is None
        answer = upgrade_response(request)
    except HttpError as error:
        head, _, body = error_response(error).partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        assert all(re.fullmatch(rb"[A-Za-z-]+: [ -~]+", line) for line in lines[1:])
        assert b"Content-Length: %d" % len(body) in lines
        return "refused"
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert answer.count(b"\r\n\r\n") == 1
    return "accepted"


def fuzz_entrance(data):
    """The first bytes of a connection: once they are known, more of them change nothing."""
    kinds = []
    for tls in (False, True):
        detected = detect(data, tls)
        kinds.append(detected.kind.name)
        assert detected.words == "" or detected.words.isprintable()
        assert (detected.kind is not Kind.TLS) or tls
        for length in range(min(len(data), 24)):
            before = detect(data[:length], tls).kind
            assert before in (Kind.NEED_MORE, detected.kind), (length, before)
    return kinds[0]


def fuzz_configuration(data):
    """Any text, as a file, as variables or as switches: a configuration, or an error that names the
    line."""
    how, text = data[:1], data[1:].decode("utf-8", "surrogateescape")
    # No system has variables or arguments with NUL characters.
    lines = [line.partition("=")[::2] for line in text.replace("\0", "").split("\n")]
    try:
        if how in (b"e", b"E"):
            variables = {f"TOUCHSTONE_{name}": words for name, words in lines}
            configuration = Configuration.parse("", "fuzz", variables, strict=how == b"E")
        elif how == b"s":
            switches = {name: words for name, words in lines if name}
            configuration = Configuration.parse("", "fuzz", switches=switches)
        else:
            configuration = Configuration.parse(text, "fuzz", strict=how == b"S")
    except ConfigError as error:
        assert PLACE.match(str(error)), str(error)
        return "refused"
    assert all(isinstance(warning, str) for warning in configuration.warnings)
    assert configuration.listeners
    for listener in configuration.listeners:
        Settings.of(listener, 1883)
    try:
        ignored_statements(configuration)
        make_context(configuration)
    except (ConfigError, BehaviourError) as error:
        assert str(error)
        return "refused later"
    return "accepted with warnings" if configuration.warnings else "accepted"


def read_file(reader, data, *arguments):
    """What `reader` makes of a file with these bytes, and what is wrong with it."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "file")
        Path(path).write_bytes(data)
        try:
            return reader(path, *arguments), ""
        except ConfigError as error:
            assert re.match(re.escape(path) + r":\d+: .", str(error))
            return None, str(error)


def fuzz_acl(data):
    """An access control list: rights, or an error that names the line."""
    acl, error = read_file(read_acl, data)
    if error:
        return "refused"
    for rules in acl.users.values():
        for topic in ("a/b", "$SYS/x", "/"):
            for one in (rules.denied, rules.readable, rules.writable):
                assert one.matches(topic) == any(matches(each, topic) for each in one.filters)
    return "accepted"


def fuzz_passwords(data):
    """A password file: users, or an error that names the line."""
    passwords, error = read_file(read_passwords, data[1:], data[:1] == b"p")
    if error:
        return "refused"
    assert isinstance(passwords.is_slow("user"), bool)
    return f"{min(len(passwords), 2)} users"


@cache
def methods():
    names = ("SCRAM-SHA-1", "SCRAM-SHA-256", "CHALLENGE")
    return Methods(names, {"user": "pencil"}, [("question", "answer")])


def fuzz_authentication(data):
    """Authentication Data of a client: each step is one of three, and nobody gets in by chance."""
    name = ("SCRAM-SHA-1", "SCRAM-SHA-256", "CHALLENGE")[data[0] % 3 if data else 0]
    method = methods().create(name)
    step = None
    for place, part in enumerate(data[1:].split(b"\n")):
        step = method.proceed(part) if place else method.start(part or None)
        assert isinstance(step, Continue | Success | Failure)
        if isinstance(step, Failure):
            assert step.reason >= 0x80
            assert step.words
            return "failure"
        if isinstance(step, Success):
            assert name == "CHALLENGE"
            return "success"
    return "continue"
