"""From what a report names to the statements of the catalogue.

A report names a statement by document and printed id. People are shown its key (`MQTT5-3.1.0-2`),
because the ids of the two documents collide. A report that another release wrote may name a
statement that this catalogue lacks: then the name stands as it is.
"""

from functools import cache

from oracle.reports.standing import Client
from oracle.reports.text import visible
from oracle.statements import DOCUMENTS, MQTT_3_1_1, MQTT_5_0, Statement, load

DOCUMENT_OF = {"3.1": MQTT_3_1_1, "3.1.1": MQTT_3_1_1, "5.0": MQTT_5_0}  # protocol -> document


@cache
def by_reference() -> dict[str, Statement]:
    """`mqtt-5.0:MQTT-3.1.0-2` -> that statement."""
    return {f"{s.document}:{s.id}": s for document in DOCUMENTS for s in load(document)}


def reference_of(document: str, statement: str) -> str:
    return f"{document}:{statement}"


def label_of(document: str, statement: str) -> str:
    """`MQTT5-3.1.0-2`."""
    reference = reference_of(document, statement)
    found = by_reference().get(reference)
    return found.key if found else visible(reference)


@cache
def observable(document: str) -> tuple[Statement, ...]:
    """Those that a broker can see a client obey or break."""
    return tuple(statement for statement in load(document) if statement.observable)


def documents_of(client: Client) -> list[str]:
    """The documents that the client is held to, in the order of the catalogue."""
    spoken = {DOCUMENT_OF[protocol] for protocol in client["protocols"]}
    return [document for document in DOCUMENTS if document in spoken]
