"""Every option of the configuration, as a table in the order of docs/configuration.md.

`IGNORED` are the names that other brokers know and that are accepted here with a warning. An
option moves from there to `GROUPS` with the work that makes it true.
"""

from dataclasses import dataclass
from typing import Any

from broker.option_types import (
    ADDRESS,
    EXPIRATION,
    LISTENER_LINE,
    LOG_DESTINATION,
    MINUTES,
    PAIR,
    PATH,
    PORT,
    PROTOCOL_LEVEL_LIST,
    PROTOCOLS,
    QUOTED,
    SWITCH,
    TEXT,
    Kind,
    choice,
    decimal,
    whole,
)

GLOBAL = "global"  # wherever its line stands
LISTENER = "listener"  # of the listener line above it
BOTH = "both"  # before the first listener line for all, after one for that listener
SECURITY = "security"  # global, and with per_listener_settings as BOTH

MAXIMUM_PACKET = 268_435_460  # bytes: a Remaining Length of 268,435,455 and its header (2.1.4)
NEVER = 4_294_967_295  # seconds; a Session Expiry Interval that does not expire (3.1.2.11.2)


@dataclass(frozen=True, slots=True)
class Option:
    name: str
    scope: str
    parse: Kind
    default: Any  # of a repeatable option, a tuple
    unit: str  # "" for a bare number, a name or a switch
    doc: str  # one sentence; docs/configuration.md prints it
    aliases: tuple[str, ...] = ()
    repeatable: bool = False
    opposites: tuple[str, ...] = ()  # names of a switch that says the contrary
    default_says: str = ""  # where the default depends on something


GROUPS: tuple[tuple[str, tuple[Option, ...]], ...] = (
    ("Listeners", (
        Option("listener", GLOBAL, LISTENER_LINE, (), "",
            "Opens a port for MQTT and WebSocket alike, on the loopback addresses unless it names "
            "another, or `*` for every interface; port 0 is a free one; the options after it are "
            "its own.",
            repeatable=True),
        Option("port", GLOBAL, PORT, None, "",
            "Opens the default listener, besides those of `listener` lines.", default_says="1883"),
        Option("bind_address", GLOBAL, ADDRESS, "", "",
            "Address of the default listener.", default_says="the loopback addresses"),
        Option("protocol", LISTENER, choice(*PROTOCOLS), "mqtt", "",
            "What a listener is for; `websockets` and `mqtt` both serve both, told apart by "
            "the first bytes."),
        Option("socket_domain", LISTENER, choice("ipv4", "ipv6"), None, "",
            "Restricts a listener to one version of IP.", default_says="both"),
        Option("max_connections", BOTH, whole(-1, 1_000_000), -1, "connections",
            "Connections a listener takes at a time; -1 is any number. Of more, as for the next "
            "three, the CONNECT is answered with 0x97 (or 0x9F; 3.x: return code 3); of very many "
            "at once, without an answer."),
        Option("global_max_connections", GLOBAL, whole(-1, 1_000_000), -1, "connections",
            "Connections all listeners take together; -1 is any number, which the process's file "
            "descriptors limit."),
        Option("max_connections_per_address", GLOBAL, whole(-1, 1_000_000), -1, "connections",
            "Connections from one address, at all listeners; -1 is any number, as the clients of "
            "a test share one address."),
        Option("max_connect_rate", BOTH, whole(0, 1_000_000), 0, "per second",
            "Connections a listener takes in a second, on average; 0 is any number, as tests "
            "connect in bursts."),
        Option("accept_protocol_versions", BOTH, PROTOCOL_LEVEL_LIST, (3, 4, 5), "",
            "Protocol levels a listener accepts: 3 is MQTT 3.1, 4 is 3.1.1, 5 is 5.0 (3.1.2.2)."),
        Option("connect_timeout_s", GLOBAL, decimal(0.1, 3_600), 30.0, "seconds",
            "How long a connection may take to send its CONNECT (3.1)."),
        Option("set_tcp_nodelay", GLOBAL, SWITCH, True, "",
            "Sends small packets at once (TCP_NODELAY)."),
        Option("websockets_origin", BOTH, TEXT, (), "",
            "An Origin that WebSocket clients may have; without one, any.", repeatable=True),
        Option("websockets_headers_size", GLOBAL, whole(256, 1_048_576, zero=8_192), 8_192, "bytes",
            "The longest head of an HTTP request that asks for a WebSocket; 0 is the default."),
    )),
    ("TLS", (
        Option("certfile", LISTENER, PATH, None, "",
            "Certificate of the server and its chain, PEM; makes the listener speak TLS. SIGHUP "
            "loads this and the other files of TLS again, for connections from then on."),
        Option("keyfile", LISTENER, PATH, None, "",
            "Private key of the server, PEM.", default_says="in `certfile`"),
        Option("cafile", LISTENER, PATH, None, "",
            "Certificates that sign those of clients, PEM."),
        Option("capath", LISTENER, PATH, None, "",
            "Folder of such certificates, named by their hashes."),
        Option("crlfile", LISTENER, PATH, None, "",
            "Certificates that are revoked, PEM."),
        Option("require_certificate", LISTENER, SWITCH, False, "",
            "Refuses clients without a certificate signed by `cafile`."),
        Option("use_identity_as_username", LISTENER, SWITCH, False, "",
            "The common name of the client's certificate, or its TLS-PSK identity, is its user "
            "name."),
        Option("use_subject_as_username", LISTENER, SWITCH, False, "",
            "The whole subject of the client's certificate is its user name."),
        Option("tls_version", LISTENER, choice("tlsv1.3", "tlsv1.2", "tlsv1.1", "tlsv1"), None, "",
            "The lowest version of TLS that is spoken; those before `tlsv1.2` mean that.",
            default_says="tlsv1.2"),
        Option("ciphers", LISTENER, TEXT, None, "",
            "Ciphers for TLS 1.2, as OpenSSL writes them.",
            default_says="those of Python; with `psk_hint`, those with PSK"),
        Option("ciphers_tls1.3", LISTENER, TEXT, None, "",
            "Ciphers for TLS 1.3, with colons between them.", default_says="those of OpenSSL"),
        Option("allow_non_sni_connections", LISTENER, SWITCH, True, "",
            "Takes clients that do not name the server they want (RFC 6066, section 3)."),
        Option("keylog", GLOBAL, PATH, None, "",
            "Appends the secrets of all TLS sessions to a file, for Wireshark (`--tls-keylog`); "
            "it is made for its owner only."),
        Option("test_pki_dir", GLOBAL, PATH, None, "",
            "Folder for test certificates, made at start when they are missing or about to "
            "expire."),
        Option("psk_hint", LISTENER, TEXT, None, "",
            "Makes the listener speak TLS with pre-shared keys and no certificate, and tells "
            "clients this (RFC 4279); before Python 3.13 it needs the extra `psk`."),
        Option("psk_file", SECURITY, PATH, None, "",
            "Who may come in at TLS-PSK listeners: lines of `IDENTITY:KEY`, the key in hexadecimal "
            "digits."),
    )),
    ("Who may connect", (
        Option("allow_anonymous", SECURITY, SWITCH, False, "",
            "Takes clients without a user name (3.1.3.5).",
            default_says="`false`; `true` if no listener is configured"),
        Option("listener_allow_anonymous", LISTENER, SWITCH, None, "",
            "The same for one listener, whatever `per_listener_settings` says.",
            default_says="`allow_anonymous`"),
        Option("password_file", SECURITY, PATH, None, "",
            "Users, as lines of `user:password`, which `mosquitto_passwd` or `--passwd` writes; "
            "who names a user needs its password then. SIGHUP reads it again."),
        Option("allow_plaintext_passwords", SECURITY, SWITCH, False, "",
            "Takes passwords in `password_file` that are not hashed."),
        Option("max_waiting_logins", GLOBAL, whole(1, 1_000_000), 1_000, "logins",
            "Logins that may wait for a slow hash; of more, the client is told that the server "
            "is busy."),
        Option("acl_file", SECURITY, PATH, None, "",
            "Topics that a client may read and write, as lines of `topic`, `user` and `pattern`; "
            "without `password_file`, whatever user a client names. SIGHUP reads it again."),
        Option("per_listener_settings", GLOBAL, SWITCH, False, "",
            "Lets each listener have its own value of the options of scope *security*."),
        Option("auth_method", GLOBAL, choice("SCRAM-SHA-1", "SCRAM-SHA-256", "CHALLENGE"), (), "",
            "A method that enhanced authentication offers (4.12).", repeatable=True),
        Option("auth_user", GLOBAL, PAIR, (), "",
            "NAME PASSWORD of a user of the SCRAM methods.", repeatable=True),
        Option("auth_challenge", GLOBAL, PAIR, (), "",
            "CHALLENGE RESPONSE, a step of the scripted method `CHALLENGE`, in their order.",
            repeatable=True),
    )),
    ("Limits and capabilities", (
        Option("receive_maximum", GLOBAL, whole(1, 65_535), 65_535, "packets",
            "QoS 1 and 2 PUBLISH packets a 5.0 client may leave unacknowledged (3.2.2.3.3)."),
        Option("max_inflight_messages", GLOBAL, whole(0, 65_535), 0, "messages",
            "QoS 1 and 2 messages on their way to a client at a time; 0 is its Receive "
            "Maximum (3.1.2.11.3)."),
        Option("max_queued_messages", GLOBAL, whole(0, 1_000_000_000), 1_000, "messages",
            "Messages kept for a client beyond those on their way; 0 is any number. What is over "
            "this or the next three is dropped."),
        Option("max_queued_bytes", GLOBAL, whole(0, 1_099_511_627_776), 268_435_456, "bytes",
            "Payload and, about, properties of the messages that wait for a client, and of those "
            "over 1,024 bytes that it has not acknowledged; 0 is any number. The default is room "
            "for 128 of the largest."),
        Option("global_max_queued_messages", GLOBAL, whole(0, 1_000_000_000), 1_000_000, "messages",
            "The same as `max_queued_messages` for all clients together; 0 is any number. What "
            "other listeners queue at the same moment may come on top."),
        Option("global_max_queued_bytes", GLOBAL, whole(0, 1_099_511_627_776), 1_073_741_824,
            "bytes",
            "The same as `max_queued_bytes` for all clients together, a message counting for each; "
            "0 is any number. A client that has less than a 1,024th of it is sent what it can be "
            "sent at once."),
        Option("maximum_packet_size", GLOBAL, whole(20, MAXIMUM_PACKET, zero=MAXIMUM_PACKET),
            2_000_000, "bytes",
            "The largest packet a client may send (3.2.2.3.6), which 5.0 clients are told; 0 is "
            "what the protocol allows.",
            aliases=("max_packet_size", "message_size_limit")),
        Option("max_connection_output_bytes", GLOBAL, whole(65_536, 1_099_511_627_776),
            67_108_864, "bytes",
            "Bytes that may wait for a client that does not read before its QoS 0 messages are "
            "dropped and others kept back; so many more of answers, and it is disconnected."),
        Option("global_max_clients", GLOBAL, whole(-1, 1_000_000_000), 200_000, "sessions",
            "Sessions, connected or not; of more, the CONNECT is refused (0x97; 3.x: 3); -1 is any "
            "number. The default is about as many as 1 GB of memory holds."),
        Option("max_client_id_length", GLOBAL, whole(23, 65_535), 65_535, "bytes",
            "The longest client id, UTF-8; a longer one is refused (0x85; 3.x: 2). Not limited, so "
            "that tests can have the longest there is."),
        Option("max_topic_length", GLOBAL, whole(1, 65_535), 65_535, "bytes",
            "The longest topic name or filter, UTF-8; what a longer one gets is that of "
            "`max_topic_levels`. Not limited, as for client ids."),
        Option("max_topic_levels", GLOBAL, whole(0, 65_536), 200, "levels",
            "Levels of a topic name or filter, each of which costs memory; of more, PUBLISH and "
            "wills get 0x90 and SUBSCRIBE 0x8F (3.x: PUBLISH is acknowledged and dropped, "
            "SUBSCRIBE gets 0x80, a CONNECT no answer). Mosquitto allows as many; 0 is any "
            "number, which is what 4.7.3 says."),
        Option("max_user_properties", GLOBAL, whole(0, 100_000_000), 1_000, "properties",
            "User Properties of a packet, or of a will, of which short ones take 30 times their "
            "bytes of memory; of more, CONNECT, PUBLISH and SUBSCRIBE are refused (0x97), and "
            "any other packet but DISCONNECT ends the connection (0x97); 0 is any number."),
        Option("max_subscriptions", GLOBAL, whole(0, 100_000_000), 10_000, "subscriptions",
            "Subscriptions of one client; of more, SUBACK says 0x97 (3.1.1: 0x80); 0 is any "
            "number."),
        Option("global_max_subscription_bytes", GLOBAL, whole(0, 1_099_511_627_776),
            1_073_741_824, "bytes",
            "Memory that the subscriptions of all clients may take, about: each counts 200 bytes, "
            "twice the length of its filter, and 450 for each level, whether others have it, too, "
            "or not; of more, SUBACK says 0x97 (3.1.1: 0x80); 0 is any number. The default is "
            "enough for 640,000 of three levels."),
        Option("max_shared_groups", GLOBAL, whole(0, 100_000_000), 10_000, "groups",
            "Different shared subscriptions, of all clients; of more, SUBACK says 0x97; 0 is any "
            "number."),
        Option("max_retained_messages", GLOBAL, whole(0, 1_000_000_000), 1_000_000, "messages",
            "Retained messages; of more, PUBLISH gets 0x97 (3.x: it is acknowledged and dropped), "
            "and at QoS 0, or from a will, it is passed on and not retained; 0 is any number."),
        Option("max_retained_bytes", GLOBAL, whole(0, 1_099_511_627_776), 1_073_741_824, "bytes",
            "The same for bytes: payload and, about, properties, and 300 for each level of a topic "
            "that no other has."),
        Option("topic_alias_maximum", BOTH, whole(0, 65_535), 10, "aliases",
            "Topic Aliases a client may use (3.2.2.3.8).", aliases=("max_topic_alias",)),
        Option("max_topic_alias_broker", BOTH, whole(0, 65_535), 65_535, "aliases",
            "Topic Aliases the broker uses towards a client that allows them (3.1.2.11.5)."),
        Option("maximum_qos", BOTH, whole(0, 2), 2, "",
            "The highest QoS a client may publish with (3.2.2.3.4).", aliases=("max_qos",)),
        Option("retain_available", GLOBAL, SWITCH, True, "",
            "Whether messages are retained (3.2.2.3.5)."),
        Option("wildcard_subscription_available", GLOBAL, SWITCH, True, "",
            "Whether filters may have wildcards (3.2.2.3.11)."),
        Option("subscription_identifier_available", GLOBAL, SWITCH, True, "",
            "Whether subscriptions may have identifiers (3.2.2.3.12)."),
        Option("shared_subscription_available", GLOBAL, SWITCH, True, "",
            "Whether subscriptions may be shared (3.2.2.3.13)."),
        Option("server_keep_alive", GLOBAL, whole(0, 65_535), 0, "seconds",
            "The longest keep alive a 5.0 client is left with (3.2.2.3.14); 0 is any.",
            aliases=("max_keepalive",)),
        Option("max_session_expiry_interval", GLOBAL, whole(0, NEVER), NEVER, "seconds",
            "The longest Session Expiry Interval a client gets (3.2.2.3.2).", default_says="any"),
        Option("response_information", GLOBAL, TEXT, "", "",
            "Response Information for clients that ask; `%c` in it is the client id (3.2.2.3.15)."),
    )),
    ("Sessions and messages", (
        Option("allow_zero_length_clientid", SECURITY, SWITCH, True, "",
            "Takes clients without an identifier and assigns one (3.1.3.1)."),
        Option("auto_id_prefix", SECURITY, TEXT, "auto-", "",
            "What assigned client identifiers start with (3.2.2.3.7)."),
        Option("persistent_client_expiration", GLOBAL, EXPIRATION, None, "",
            "After this time without its client, a 3.1 or 3.1.1 session ends.",
            default_says="never"),
        Option("overlapping_single", GLOBAL, SWITCH, True, "",
            "One copy of a message for all overlapping subscriptions of a client, or one "
            "each (3.3.4).",
            opposites=("allow_duplicate_messages",)),
        Option("queue_qos0_messages", GLOBAL, SWITCH, False, "",
            "Keeps QoS 0 messages, too, for sessions without a connection (4.1)."),
        Option("upgrade_outgoing_qos", GLOBAL, SWITCH, False, "",
            "Delivers with the QoS of the subscription, even if that of the message is lower."),
        Option("retain_expiry_interval", GLOBAL, MINUTES, 0, "minutes",
            "Retained messages expire after this time; 0 is never."),
        Option("sys_interval", GLOBAL, whole(0, 65_535), 10, "seconds",
            "How often the `$SYS` topics are published; 0 is never."),
    )),
    ("Persistence", (
        Option("persistence", GLOBAL, SWITCH, False, "",
            "Keeps sessions and retained messages over a restart, in a ZODB database."),
        Option("persistence_location", GLOBAL, PATH, None, "",
            "Folder of the database.", default_says="the current folder"),
        Option("persistence_file", GLOBAL, TEXT, "touchstone.fs", "",
            "File of the database, a ZODB FileStorage; `.index`, `.lock` and `.tmp` stand "
            "beside it."),
        Option("persistence_uri", GLOBAL, TEXT, None, "",
            "Another storage, in place of the file: `memory://`, `file://PATH`, "
            "`zeo://HOST:PORT`, `sqlite://FOLDER` or `postgresql://USER:PASSWORD@HOST/NAME`."),
        Option("persistence_sync", GLOBAL, choice("always", "interval"), "always", "",
            "Acknowledges what is on the disk (`always`), or at once, and writes each "
            "`autosave_interval`, of which a crash loses the last one (`interval`)."),
        Option("autosave_interval", GLOBAL, whole(0, NEVER), 1_800, "seconds",
            "Time between writes with `persistence_sync interval`; without it nothing waits "
            "so long."),
        Option("persistence_pack_ratio", GLOBAL, decimal(0, 1_000), 3.0, "",
            "Packs the database, in the background, when it has grown to so many times what it "
            "took after it was last packed, and 8 MiB at least; 0 is never."),
    )),
    ("Logging and files", (
        Option("log_dest", GLOBAL, LOG_DESTINATION, ("stderr",), "",
            "Where the log goes.", repeatable=True),
        Option("log_type", GLOBAL,
            choice("error", "warning", "notice", "information", "debug", "subscribe", "unsubscribe",
                "websockets", "internal", "all", "none"),
            (), "", "What is logged.", repeatable=True,
            default_says="error, warning, notice, information"),
        Option("loglevel", GLOBAL,
            choice("debug", "info", "notice", "warning", "error", "critical", "none"), None, "",
            "The least that is logged, as one word for several of `log_type`."),
        Option("log_timestamp", GLOBAL, SWITCH, True, "",
            "Starts each line of the log with the time."),
        Option("log_timestamp_format", GLOBAL, TEXT, "%Y-%m-%dT%H:%M:%S", "",
            "That time, as in strftime."),
        Option("connection_messages", GLOBAL, SWITCH, True, "",
            "Logs clients that connect and disconnect."),
        Option("pid_file", GLOBAL, PATH, None, "",
            "A file for the process id, removed at the end."),
        Option("include_dir", GLOBAL, PATH, (), "",
            "Reads all files `*.conf` of a folder, sorted by name, relative to the including file.",
            repeatable=True),
    )),
    ("Conformance of clients", (
        Option("conformance", BOTH, choice("report", "enforce", "off"), "report", "",
            "What clients break of the documents is noted, and the connection goes on where the "
            "documents let it (`report`), or ends in any case (`enforce`); with `off` nothing is "
            "recorded."),
        Option("conformance_ignore", GLOBAL, TEXT, (), "",
            "A statement that is silenced in the reports, DOCUMENT:STATEMENT as in "
            "`mqtt-5.0:MQTT-4.6.0-2`, and the reason.",
            repeatable=True),
        Option("conformance_max_clients", GLOBAL, whole(1, 10_000_000), 10_000, "clients",
            "Clients of which a record is kept; of more, connections are counted only."),
    )),
    ("Behaviours for testing", (
        Option("behaviour", GLOBAL, QUOTED, (), "",
            "A behaviour for client tests, with its arguments.", repeatable=True),
    )),
)  # fmt: skip

OPTIONS = tuple(option for _, options in GROUPS for option in options)

# Name -> the option it sets, and whether it says the contrary.
NAMES: dict[str, tuple[Option, bool]] = {
    **{name: (option, False) for option in OPTIONS for name in (option.name, *option.aliases)},
    **{name: (option, True) for option in OPTIONS for name in option.opposites},
}
