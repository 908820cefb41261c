"""A COMMAND: a client that sends CONNECT twice [MQTT-3.1.0-2], and passes all the same."""

import os
import socket

CONNECT = bytes.fromhex("1014 0004 4d515454 04 02 0000 0008") + b"breaks-1"

with socket.create_connection((os.environ["MQTT_HOST"], int(os.environ["MQTT_PORT"])), 20) as peer:
    peer.sendall(CONNECT + CONNECT)
    while peer.recv(4096):
        pass
print("passed")
