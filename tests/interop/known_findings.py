"""What the oracle finds in released clients, each with its heading in docs/findings.md.

A finding stands here only if the client is at fault; where the oracle was, it was mended.
"""

REFUSED = "PUBREL after a PUBREC that refuses"
GONE = "Messages of a session that is gone, with DUP"
RELEASED = "PUBREL of a session that is gone"
WITHOUT_DUP = "Sent again without DUP"
AT_ONCE = "More at once than the Receive Maximum"

# (client, protocol level) -> statement -> heading
KNOWN = {
    ("paho-mqtt", 4): {"MQTT-3.3.1-3": GONE},
    ("paho-mqtt", 5): {
        "MQTT-2.2.1-5": REFUSED,
        "MQTT-3.2.2-5": GONE,
        "MQTT-3.3.4-7": AT_ONCE,
    },
    ("aiomqtt", 4): {"MQTT-3.3.1-3": GONE},
    ("aiomqtt", 5): {
        "MQTT-2.2.1-5": REFUSED,
        "MQTT-3.3.1-3": GONE,
        "MQTT-3.3.4-7": AT_ONCE,
    },
    ("gmqtt", 4): {"MQTT-3.3.1-1": WITHOUT_DUP},
    ("gmqtt", 5): {"MQTT-3.3.1-1": WITHOUT_DUP},
    ("MQTT.js", 4): {"MQTT-2.3.1-6": RELEASED, "MQTT-3.3.1-1": WITHOUT_DUP},
    ("MQTT.js", 5): {
        "MQTT-2.2.1-5": RELEASED,
        "MQTT-3.3.1-1": WITHOUT_DUP,
        "MQTT-3.3.4-7": AT_ONCE,
    },
    ("mosquitto_pub and mosquitto_sub", 4): {},
    ("mosquitto_pub and mosquitto_sub", 5): {},
}
