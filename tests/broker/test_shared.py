"""The members of a shared subscription and whose turn it is."""

from collections import Counter

import pytest

from broker.topics.shared import ShareGroup
from tests.broker.topics import session, subscription


def group_of(*sessions):
    group = ShareGroup("$share/group/a")
    for one in sessions:
        group.join(subscription(one, "a", share="group"))
    return group


def test_an_empty_group_has_nobody_to_choose():
    assert ShareGroup("$share/group/a").choose() is None


def test_each_has_its_turn():
    group = group_of(*(session(f"member {place}") for place in range(3)))
    turns = [group.choose().session.client_id for _ in range(9)]
    assert turns[:3] == turns[3:6] == turns[6:]
    assert len(set(turns[:3])) == 3


@pytest.mark.parametrize("away", [0, 1, 2])
def test_those_with_a_connection_come_first(away):
    sessions = [session(f"member {place}", place != away) for place in range(3)]
    group = group_of(*sessions)
    chosen = Counter(group.choose().session.client_id for _ in range(20))
    assert set(chosen) == {one.client_id for one in sessions} - {f"member {away}"}


def test_without_any_somebody_is_chosen_still():
    group = group_of(session("one", False), session("other", False))
    assert {group.choose().session.client_id for _ in range(4)} == {"one", "other"}


def test_who_joins_again_counts_once_with_the_new_options():
    one, other = session("one"), session("other")
    group = group_of(one, other)
    group.join(subscription(one, "a", 2, "group"))
    assert Counter(group.choose().session.client_id for _ in range(10)) == {"one": 5, "other": 5}
    assert {group.choose().qos for _ in range(2)} == {0, 2}


def test_who_leaves_is_not_chosen_and_the_turn_goes_on():
    sessions = [session(f"member {place}") for place in range(3)]
    group = group_of(*sessions)
    for _ in range(2):
        group.choose()
    group.leave(sessions[2])
    group.leave(sessions[2])  # nothing to leave
    assert {group.choose().session.client_id for _ in range(4)} == {"member 0", "member 1"}
    group.leave(sessions[0])
    group.leave(sessions[1])
    assert group.choose() is None
