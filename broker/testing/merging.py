"""One report from those of many brokers: of the tests of a run, and of processes side by side.

A client is known by its client id in all of them. A connection that never gave one stays by itself.
"""

from typing import Any

from broker.version import VERSION
from oracle.reports.lookup import by_reference, observable, reference_of
from oracle.reports.standing import Report
from oracle.statements import DOCUMENTS

KEPT_CLIENTS = 10_000
SUMS = (
    "connections",
    "packets_received",
    "packets_sent",
    "bytes_received",
    "bytes_sent",
)
PROTOCOLS = ("3.1", "3.1.1", "5.0")


class Merged:
    """What many reports say together.

    Args:
        now: ISO 8601, the start of the run.
    """

    def __init__(self, now: str) -> None:
        self._started = now
        self._listeners: list[dict[str, Any]] = []
        self._clients: dict[tuple[str, str], dict[str, Any]] = {}
        self._ignored: list[dict[str, Any]] = []
        self._dropped = 0

    def add(self, report: Report) -> None:
        started = report["broker"]["started"]
        self._started = min(self._started, started)
        for listener in report["broker"]["listeners"]:
            kind = listener | {"port": 0}  # each broker had one of its own
            if kind not in self._listeners:
                self._listeners.append(kind)
        for client in report["clients"]:
            name = client["client_id"]
            key = ("", name) if name is not None else (client["first_seen"], client["address"])
            if key in self._clients:
                _join(self._clients[key], client)
            elif len(self._clients) < KEPT_CLIENTS:
                self._clients[key] = client
            else:
                self._dropped += client["connections"]
        self._ignored += [each for each in report["ignored"] if each not in self._ignored]
        self._dropped += report["dropped"]["clients"]

    def report(self, now: str, complete: bool) -> Report:
        """All of it.

        Args:
            complete: nothing is missing.
        """
        clients = sorted(self._clients.values(), key=lambda client: str(client["first_seen"]))
        return {
            "broker": {
                "name": "touchstone",
                "version": VERSION,
                "started": self._started,
                "written": now,
                "complete": complete,
                "listeners": self._listeners,
            },
            "clients": clients,
            "coverage": _coverage(clients),
            "ignored": self._ignored,
            "dropped": {"clients": self._dropped},
        }


def _join(client: dict[str, Any], later: dict[str, Any]) -> None:
    """Add what the same client did elsewhere."""
    known = {_identity(each): each for each in client["violations"]}
    for violation in later["violations"]:
        same = known.get(_identity(violation))
        if same is not None:
            same["count"] += violation["count"]
        else:
            violation["first"]["connection"] += client["connections"]
            client["violations"].append(violation)
    for name in SUMS:
        client[name] += later[name]
    client["address"] = later["address"]
    client["first_seen"] = min(client["first_seen"], later["first_seen"])
    client["last_seen"] = max(client["last_seen"], later["last_seen"])
    spoken = {*client["protocols"], *later["protocols"]}
    client["protocols"] = [one for one in PROTOCOLS if one in spoken]
    client["transports"] += [one for one in later["transports"] if one not in client["transports"]]
    seen = {*client["exercised"], *later["exercised"]}
    client["exercised"] = [name for name in by_reference() if name in seen]
    client["examples"] = later["examples"] | client["examples"]


def _identity(violation: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(violation[name] for name in ("document", "statement", "summary", "silenced"))


def _coverage(clients: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    seen = {name for client in clients for name in client["exercised"]}
    broken = {
        reference_of(each["document"], each["statement"])
        for client in clients
        for each in client["violations"]
    }
    coverage = {}
    for document in DOCUMENTS:
        names = {reference_of(document, each.id) for each in observable(document)}
        coverage[document] = {
            "observable": len(names),
            "exercised": len(names & seen),
            "violated": len(names & broken),
        }
    return coverage
