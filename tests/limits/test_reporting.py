"""Limits that are reached show in `$SYS`, and in the log without a flood."""

from broker.overruns import QUIET_S, Overruns
from broker.statistics import LIMITS, Statistics, total
from tests.limits.support import connected


def test_sys_topics(site):
    broker = site("sys_interval 10\nmax_topic_levels 4")
    client = connected(broker, "a")
    client.subscribe("$SYS/broker/limits/#")
    told = {one.topic.removeprefix("$SYS/broker/limits/") for one in client.receive_messages()}
    assert told == set(LIMITS)
    client.publish("a/b/c/d/e", b"", 0)
    broker.advance(10)
    (message,) = client.receive_messages()
    assert (message.topic, message.payload) == ("$SYS/broker/limits/max_topic_levels", b"1")


def test_the_total_is_that_of_all_workers():
    parts = [Statistics(), Statistics()]
    for part in parts:
        part.limits["max_subscriptions"] = 3
    assert total(parts).limits["max_subscriptions"] == 6


def test_a_line_a_minute_for_each_limit(caplog):
    statistics = Statistics()
    overruns = Overruns("listener 1", statistics)
    for now in (0.0, 1.0, QUIET_S - 1, QUIET_S):
        overruns.note("max_topic_levels", "who\nand what", now)
    overruns.note("max_topic_length", "another", 1.0)
    assert [record.getMessage() for record in caplog.records] == [
        "listener 1: limit max_topic_levels: who\\nand what",
        "listener 1: limit max_topic_levels: who\\nand what (2 more since this was last said)",
        "listener 1: limit max_topic_length: another",
    ]
    assert statistics.limits["max_topic_levels"] == 4
