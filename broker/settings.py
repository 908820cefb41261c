"""What one listener allows its clients, worked out once from the configuration."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from broker.access import Access, AnonymousAccess
from broker.message import NEVER
from formats.mqtt.properties import (
    MAXIMUM_PACKET_SIZE,
    MAXIMUM_QOS,
    RECEIVE_MAXIMUM,
    RETAIN_AVAILABLE,
    SHARED_SUBSCRIPTION_AVAILABLE,
    SUBSCRIPTION_IDENTIFIER_AVAILABLE,
    TOPIC_ALIAS_MAXIMUM,
    WILDCARD_SUBSCRIPTION_AVAILABLE,
    Properties,
)

PROTOCOL_LIMIT = 268_435_460  # bytes; the largest packet there can be (2.1.4)
SESSION_NEVER_EXPIRES = 0xFFFFFFFF  # seconds on the wire (3.1.2.11.2)


class Options(Protocol):
    """Option values by name: a listener of the configuration."""

    def __getitem__(self, name: str) -> Any: ...


def expiry_from_wire(interval: int) -> float:
    """Seconds a session lasts without its connection, from a Session Expiry Interval."""
    return NEVER if interval == SESSION_NEVER_EXPIRES else float(interval)


def expiry_to_wire(interval_s: float) -> int:
    """The Session Expiry Interval property for so many seconds."""
    return SESSION_NEVER_EXPIRES if interval_s == NEVER else int(interval_s)


@dataclass(slots=True)
class Settings:
    """The limits and choices that apply to every connection of a listener; units in the names.

    Attributes:
        records:   what clients do goes into the ledger.
        enforces:  a client that breaks a rule is disconnected even where the server may go on.
        announced: the CONNACK properties that say so to a 5.0 client (3.2.2.3); a property whose
            default is what we do is left out.
    """

    port: int = 0
    access: Access = field(default_factory=lambda: AnonymousAccess(True))
    versions: tuple[int, ...] = (3, 4, 5)
    receive_maximum: int = 65_535
    max_inflight_messages: int = 0  # 0: as many as the client allows
    maximum_packet_size: int = PROTOCOL_LIMIT
    topic_alias_maximum: int = 0
    max_topic_alias_broker: int = 65_535
    maximum_qos: int = 2
    retain_available: bool = True
    wildcards_available: bool = True
    identifiers_available: bool = True
    shared_available: bool = True
    server_keep_alive_s: int = 0  # 0: the client's own, whatever it is
    max_session_expiry_s: float = NEVER
    persistent_client_expiration_s: float = NEVER
    allow_zero_length_client_id: bool = True
    auto_id_prefix: str = ""
    connect_timeout_s: float = 30
    max_output_bytes: int = 64 << 20
    response_information: str = ""
    use_identity_as_username: bool = False
    use_subject_as_username: bool = False
    websockets_headers_size: int = 8192
    connection_messages: bool = True
    records: bool = True
    enforces: bool = False
    announced: Properties = field(default_factory=dict)

    @classmethod
    def of(cls, options: Options, port: int, access: Access | None = None) -> "Settings":
        """Those of a listener of the configuration; without `access`, `allow_anonymous` counts."""
        settings = cls(
            port=port,
            access=access or AnonymousAccess(options["allow_anonymous"]),
            versions=tuple(options["accept_protocol_versions"]),
            receive_maximum=options["receive_maximum"],
            max_inflight_messages=options["max_inflight_messages"],
            maximum_packet_size=options["maximum_packet_size"] or PROTOCOL_LIMIT,
            topic_alias_maximum=options["topic_alias_maximum"],
            max_topic_alias_broker=options["max_topic_alias_broker"],
            maximum_qos=options["maximum_qos"],
            retain_available=options["retain_available"],
            wildcards_available=options["wildcard_subscription_available"],
            identifiers_available=options["subscription_identifier_available"],
            shared_available=options["shared_subscription_available"],
            server_keep_alive_s=options["server_keep_alive"],
            max_session_expiry_s=expiry_from_wire(options["max_session_expiry_interval"]),
            persistent_client_expiration_s=options["persistent_client_expiration"] or NEVER,
            allow_zero_length_client_id=options["allow_zero_length_clientid"],
            auto_id_prefix=options["auto_id_prefix"],
            connect_timeout_s=options["connect_timeout_s"],
            max_output_bytes=options["max_connection_output_bytes"],
            response_information=options["response_information"],
            use_identity_as_username=options["use_identity_as_username"],
            use_subject_as_username=options["use_subject_as_username"],
            websockets_headers_size=options["websockets_headers_size"],
            connection_messages=options["connection_messages"],
            records=options["conformance"] != "off",
            enforces=options["conformance"] == "enforce",
        )
        settings.announce()
        return settings

    def announce(self) -> None:
        """Work out `announced` from the rest."""
        announced: Properties = {}
        if self.receive_maximum != 65_535:
            announced[RECEIVE_MAXIMUM] = self.receive_maximum
        if self.maximum_qos < 2:  # [MQTT5-3.2.2-9]
            announced[MAXIMUM_QOS] = self.maximum_qos
        if not self.retain_available:
            announced[RETAIN_AVAILABLE] = 0
        if self.maximum_packet_size < PROTOCOL_LIMIT:
            announced[MAXIMUM_PACKET_SIZE] = self.maximum_packet_size
        if self.topic_alias_maximum:
            announced[TOPIC_ALIAS_MAXIMUM] = self.topic_alias_maximum
        if not self.wildcards_available:
            announced[WILDCARD_SUBSCRIPTION_AVAILABLE] = 0
        if not self.identifiers_available:
            announced[SUBSCRIPTION_IDENTIFIER_AVAILABLE] = 0
        if not self.shared_available:
            announced[SHARED_SUBSCRIPTION_AVAILABLE] = 0
        self.announced = announced
