"""Thousands of connections that say nothing, beside clients that do everything right.

`python -m tests.hostile.crowd COUNT` in a process of its own, for the file descriptors, of which it
takes two for each; prints what it found, as JSON. The clock is moved, nothing waits.
"""

import gc
import json
import resource
import socket
import sys

from broker.connection import Connection
from broker.listeners.loop import DRAIN_S
from tests.harness.site import Site
from tests.hostile.support import Bystanders, assert_at_rest, open_connections

BESIDES = 200  # descriptors that are not of the crowd
CONNECT_TIMEOUT_S = 30
AT_ONCE = 500  # fewer than wait in the queue of the listener


def room_for(count):
    """Raise the limit as far as it goes; how many there can be."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * count + BESIDES
    limit = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return (limit - BESIDES) // 2


def connections():
    gc.collect()
    return sum(type(one) is Connection for one in gc.get_objects())


def main():
    count = room_for(int(sys.argv[1]))
    site = Site("tcp", f"connect_timeout_s {CONNECT_TIMEOUT_S}")
    bystanders = Bystanders(site)
    crowd = []
    for number in range(count):
        crowd.append(socket.create_connection(("127.0.0.1", site.broker.ports[0]), 10))
        if number % AT_ONCE == 0:
            site.settle()
    while site.broker.statistics().sockets < count + 2:
        site.settle()
    found = {"crowd": count, "open": open_connections(site) - 2}
    bystanders.check()
    assert_at_rest(site)
    site.advance(CONNECT_TIMEOUT_S)
    bystanders.check()
    site.advance(DRAIN_S)
    bystanders.check()
    assert_at_rest(site)
    found["timed out"] = site.broker.statistics().limits["connect_timeout_s"]
    found["left open"] = open_connections(site) - 2
    found["left in memory"] = connections() - 2
    found["told"] = sum(one.recv(1) == b"" for one in crowd)
    site.close()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
