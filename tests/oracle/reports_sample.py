"""Reports to render: small ones, hostile ones, and one of 1,000 clients and 10,000 violations."""

import json
from pathlib import Path

from oracle.reports.lookup import by_reference, observable, reference_of
from oracle.statements import MQTT_3_1_1, MQTT_5_0

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs" / "report.schema.json").read_text(encoding="utf-8")
)

IMAGE = "<img src=x onerror=document.title='owned'>"
SCRIPT = "</script><script>document.title='owned'</script><!--"
HOSTILE = (IMAGE, SCRIPT, "a\u2028b\u202ec\x1b[2J\x00", "]]>&amp;", "x|`y`\r\n::error::z", "\udcff")

CONNECT = "101000044d5154540502003c00000378797a"


def at(second, microsecond=0):
    return f"2026-01-02T03:{second // 60 % 60:02}:{second % 60:02}.{microsecond:06}+00:00"


def packet(second, name="CONNECT", direction="received", words="", data=CONNECT, **more):
    """A row of a sequence."""
    fields = {
        "time": at(second, 250_000),
        "direction": direction,
        "packet": name,
        "words": words,
        "bytes": data,
        "size": len(data) // 2,
        "count": 1,
        "broken": False,
    }
    return fields | more


def violation(statement="MQTT-3.1.0-2", document=MQTT_5_0, level="MUST NOT", **more):
    """One that stands, unless `more` says otherwise; `first` takes fields of that part."""
    first = {
        "time": at(7),
        "connection": 1,
        "direction": "received",
        "packet": "CONNECT",
        "bytes": CONNECT,
        "size": len(CONNECT) // 2,
        "offset": 9,
        "seen": "CONNECT on a connection that has one",
        "expected": by_reference()[reference_of(document, statement)].text,
    } | more.pop("first", {})
    fields = {
        "document": document,
        "statement": statement,
        "level": level,
        "summary": "second CONNECT",
        "count": 1,
        "silenced": None,
        "first": first,
        "sequence": [
            packet(5, words="client id 'xyz', clean start"),
            packet(5, "CONNACK", "sent", "success", "2003000000"),
            packet(6, "PUBLISH", words="QoS 0, topic 'a/b'", data="30050003612f62", count=12),
            packet(7, words="client id 'xyz', clean start", broken=True),
        ],
    }
    return fields | more


def client(client_id="xyz", violations=(), exercised=(), **more):
    fields = {
        "client_id": client_id,
        "address": "127.0.0.1:40000",
        "protocols": ["5.0"],
        "transports": ["tcp"],
        "connections": 1,
        "first_seen": at(5),
        "last_seen": at(9),
        "packets_received": 15,
        "packets_sent": 1,
        "bytes_received": 120,
        "bytes_sent": 5,
        "exercised": list(exercised),
        "examples": {
            name: {"time": at(5), "packet": "CONNECT", "bytes": CONNECT} for name in exercised
        },
        "violations": list(violations),
    }
    return fields | more


def report(*clients, complete=True, ignored=(), dropped=0):
    exercised = {name for client in clients for name in client["exercised"]}
    broken = {
        reference_of(violation["document"], violation["statement"])
        for client in clients
        for violation in client["violations"]
    }
    coverage = {}
    for document in (MQTT_5_0, MQTT_3_1_1):
        names = set(references(document))
        coverage[document] = {
            "observable": len(names),
            "exercised": len(names & exercised),
            "violated": len(names & broken),
        }
    return {
        "broker": {
            "name": "touchstone",
            "version": "0.1.0",
            "started": at(0),
            "written": at(10),
            "complete": complete,
            "listeners": [{"port": 1883, "tls": False, "mode": "report"}],
        },
        "clients": list(clients),
        "coverage": coverage,
        "ignored": list(ignored),
        "dropped": {"clients": dropped},
    }


def references(document, number=None):
    return [reference_of(document, s.id) for s in observable(document)[:number]]


def mixed():
    """A client that passes, one that breaks, one that is advised, one silenced, one nameless."""
    reason = "known, see #12"
    broken = [reference_of(MQTT_5_0, "MQTT-3.1.0-2"), reference_of(MQTT_5_0, "U5-3.1.2.3-1")]
    exercised = [name for name in references(MQTT_5_0) if name not in broken][:20]
    return report(
        client("good", exercised=exercised[1:]),
        client("bad", [violation(count=3)], exercised[:1] + broken[:1]),
        client("advised", [violation("U5-3.1.2.3-1", level="SHOULD", summary="advice ignored")]),
        client("quiet", [violation(silenced=reason)]),
        client(None, address="127.0.0.1:40001", protocols=[], transports=["ws"]),
        client("old", protocols=["3.1"], exercised=references(MQTT_3_1_1, 10)),
        ignored=[{"document": MQTT_5_0, "statement": "MQTT-3.1.0-2", "reason": reason}],
    )


def hostile():
    """Every string that can come from the network is one that wants to be more."""
    return report(
        *(
            client(
                text,
                [
                    violation(
                        summary=text,
                        silenced=text if number % 2 else None,
                        first={"seen": text, "expected": text, "packet": text},
                        sequence=[packet(5, text, words=text, broken=True)],
                    )
                ],
                references(MQTT_5_0, 2),
                address=text,
            )
            for number, text in enumerate(HOSTILE)
        ),
        dropped=3,
        complete=False,
    )


def large(clients=1000, violations=10):
    """As a long run of a big test suite would leave it: this many clients, violations of each."""
    statements = observable(MQTT_5_0)
    exercised = references(MQTT_5_0, 120)
    return report(
        *(
            client(
                f"client-{number}",
                [
                    violation(
                        statements[(number + at) % len(statements)].id,
                        level="MUST" if at % 5 else "SHOULD",
                        summary=f"breach {number}-{at}",
                        sequence=[
                            packet(5 + row, "PUBLISH", words=f"QoS 1, packet id {row}, 64 bytes")
                            for row in range(7)
                        ]
                        + [
                            packet(13, "PUBLISH", words="QoS 3", data="36" + "ab" * 63, broken=True)
                        ],
                    )
                    for at in range(violations)
                ],
                exercised,
                protocols=["5.0"] if number % 3 else ["3.1.1", "5.0"],
            )
            for number in range(clients)
        )
    )
