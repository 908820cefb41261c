"""docs/report.schema.json fits the reports, and nothing else; every form renders what fits it."""

import copy
import json
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from oracle.reports import github, html, json_report, junit, markdown, summary
from oracle.reports.standing import FAIL_ON
from oracle.statements import DOCUMENTS
from tests.oracle.reports_sample import (
    HOSTILE,
    SCHEMA,
    hostile,
    large,
    mixed,
    references,
    report,
)

VALIDATOR = Draft202012Validator(SCHEMA)


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("make", [report, mixed, hostile, lambda: large(3, 4)])
def test_reports_fit(make):
    VALIDATOR.validate(make())


def fields(schema, place="report"):
    """Each schema that stands for a field or an item, with its place."""
    for name, inner in schema.get("properties", {}).items():
        yield f"{place}.{name}", inner
        yield from fields(inner, f"{place}.{name}")
    for name in ("items", "additionalProperties"):
        if isinstance(inner := schema.get(name), dict):
            yield f"{place}[{name}]", inner
            yield from fields(inner, f"{place}[{name}]")
    for name, inner in schema.get("$defs", {}).items():
        yield f"{place}#{name}", inner
        yield from fields(inner, f"{place}#{name}")


def test_every_field_is_described():
    undescribed = [
        place
        for place, schema in fields(SCHEMA)
        if "description" not in schema and list(schema) != ["$ref"]
    ]
    assert undescribed == []


def test_every_object_is_strict():
    objects = [schema for _, schema in fields(SCHEMA) if schema.get("type") == "object"]
    assert len(objects) > 8
    assert all("additionalProperties" in schema for schema in objects)


# Where it stands in mixed(), and what to put there; None takes the field away.
BAD = ("clients", 1)
BREACH = (*BAD, "violations", 0)
FIRST = references("mqtt-5.0", 1)[0]
WRONG = [
    (("broker", "complete"), 1),
    (("broker", "started"), "yesterday"),
    (("broker", "written"), "2026-01-02T03:04:05+02:00"),
    (("broker", "listeners", 0, "mode"), "strict"),
    (("broker", "listeners", 0, "port"), "1883"),
    (("broker", "colour"), "red"),
    (("dropped",), None),
    (("more",), {}),
    (("coverage", "mqtt-6"), {"observable": 1, "exercised": 1, "violated": 0}),
    (("coverage", "mqtt-5.0", "exercised"), -1),
    (("ignored", 0, "reason"), None),
    ((*BAD, "client_id"), 7),
    ((*BAD, "client_id"), None),
    ((*BAD, "protocols"), ["4"]),
    ((*BAD, "transports"), ["tcp", "tcp"]),
    ((*BAD, "connections"), 1.5),
    ((*BAD, "exercised"), ["MQTT-3.1.0-1"]),
    ((*BAD, "examples", "MQTT-3.1.0-1"), {}),
    ((*BAD, "examples", FIRST, "bytes"), "1f3"),
    ((*BREACH, "document"), "mqtt-3.1"),
    ((*BREACH, "statement"), ""),
    ((*BREACH, "level"), "must not"),
    ((*BREACH, "count"), 0),
    ((*BREACH, "silenced"), None),
    ((*BREACH, "first", "bytes"), "1F"),
    ((*BREACH, "first", "offset"), "9"),
    ((*BREACH, "first", "direction"), "in"),
    ((*BREACH, "sequence", 0, "words"), None),
    ((*BREACH, "sequence", 0, "broken"), "no"),
]


@pytest.mark.parametrize(("place", "value"), WRONG, ids=lambda value: json.dumps(value)[:60])
def test_wrong_reports_do_not_fit(place, value):
    wrong = copy.deepcopy(mixed())
    *path, last = place
    parent = wrong
    for step in path:
        parent = parent[step]
    if value is None:
        del parent[last]
    else:
        parent[last] = value
    assert not VALIDATOR.is_valid(wrong)


# Single low surrogates only: a pair of them is a character to JSON.
texts = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=30),
    st.text("<>&'\"`|\\%:;,$\x00\x07\x1b\r\n\u2028\u202e\ufffe\udc80\udfff", max_size=20),
)
counts = st.integers(0, 10**12)
times = st.datetimes().map(lambda moment: moment.isoformat(timespec="microseconds") + "+00:00")
hexes = st.binary(max_size=40).map(bytes.hex)
statements = st.one_of(
    st.sampled_from(["MQTT-3.1.0-2", "MQTT-1.5.4-1", "MQTT-1.5.3-1", "U5-3.1.2.3-1"]),
    st.from_regex(r"\A(MQTT|U5|U311)-[0-9](\.[0-9]){0,3}-[0-9]\Z"),
)
documents = st.sampled_from(DOCUMENTS)
citations = st.builds("{}:{}".format, documents, statements)
directions = st.sampled_from(["received", "sent"])
packets = st.one_of(st.sampled_from(["CONNECT", ""]), texts)


def record(**fields):
    return st.fixed_dictionaries(fields)


violations = record(
    document=documents,
    statement=statements,
    level=st.sampled_from(SCHEMA["$defs"]["violation"]["properties"]["level"]["enum"]),
    summary=texts,
    count=st.integers(1, 10**9),
    silenced=st.none() | texts,
    first=record(
        time=times,
        connection=st.integers(1, 10**6),
        direction=directions,
        packet=packets,
        bytes=hexes,
        size=counts,
        offset=st.none() | counts,
        seen=texts,
        expected=texts,
    ),
    sequence=st.lists(
        record(
            time=times,
            direction=directions,
            packet=packets,
            words=texts,
            bytes=hexes,
            size=counts,
            count=st.integers(1, 10**6),
            broken=st.booleans(),
        ),
        max_size=3,
    ),
)
clients = record(
    client_id=st.none() | texts,
    address=texts,
    protocols=st.lists(st.sampled_from(["3.1", "3.1.1", "5.0"]), unique=True),
    transports=st.lists(st.sampled_from(["tcp", "tls", "ws", "wss"]), unique=True),
    connections=counts,
    first_seen=times,
    last_seen=times,
    packets_received=counts,
    packets_sent=counts,
    bytes_received=counts,
    bytes_sent=counts,
    exercised=st.lists(citations, unique=True, max_size=5),
    examples=st.dictionaries(
        citations, record(time=times, packet=packets, bytes=hexes), max_size=3
    ),
    violations=st.lists(violations, max_size=3),
)
reports = record(
    broker=record(
        name=texts,
        version=texts,
        started=times,
        written=times,
        complete=st.booleans(),
        listeners=st.lists(
            record(
                port=st.integers(0, 65535),
                tls=st.booleans(),
                mode=st.sampled_from(["report", "enforce", "off"]),
            ),
            max_size=2,
        ),
    ),
    clients=st.lists(clients, max_size=3),
    coverage=st.dictionaries(
        documents, record(observable=counts, exercised=counts, violated=counts)
    ),
    ignored=st.lists(record(document=documents, statement=statements, reason=texts), max_size=2),
    dropped=record(clients=counts),
)


@given(reports, st.sampled_from(FAIL_ON))
@settings(max_examples=60)
def test_every_form_renders_every_report(a_report, fail_on):
    VALIDATOR.validate(a_report)
    before = copy.deepcopy(a_report)

    text = json_report.render(a_report)
    assert json.loads(text.encode()) == a_report
    assert text.endswith("}\n")

    root = ElementTree.fromstring(junit.render(a_report).encode())
    assert len(root) == len(a_report["clients"])

    page = html.render(a_report, fail_on).encode().decode()
    assert page.count("</script>") == 2
    data = page.partition('id="data">')[2].partition("</script>")[0]
    overview, *packets = map(json.loads, data.split("\n"))
    assert len(overview["clients"]) == len(packets) == len(a_report["clients"])

    assert markdown.render(a_report, fail_on).encode().endswith(b"\n")
    for line in summary.render(a_report, fail_on).encode().decode().split("\n"):
        assert line == "" or line.isprintable()
    for line in github.render(a_report, fail_on).encode().decode().splitlines():
        assert line.startswith(("::error ", "::warning "))

    assert a_report == before
