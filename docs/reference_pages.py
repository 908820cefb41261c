"""Pages of docs/ made from tables of the broker: behaviours, $SYS topics, states."""

import inspect

from broker.behaviours import CATALOGUE
from broker.session.states import AWAITS_PUBACK, EVENT_NAMES, NEXT, STATE_NAMES
from broker.sys_topics import LOADS, PERIODS_S, PREFIX, TOPICS


def sentences(function: object) -> str:
    """A docstring as one line."""
    return " ".join((inspect.getdoc(function) or "").split())


def behaviours_page() -> str:
    rows = "\n".join(
        f"| `behaviour {' '.join((name, *entry.arguments))}` | {sentences(entry.add)} |"
        for name, entry in CATALOGUE.items()
    )
    return f"""\
# Behaviours for testing

Made from `broker/behaviours.py` by `python docs/generate.py`; change it there.

What the broker does on request beside, or against, the documents. Each is declared in the
configuration, as often as it is needed; none is in force without that. Arguments are quoted as in
a shell. `client_testing.conf` declares those that existing client suites rely on.

| line of the configuration | what a client sees |
| --- | --- |
{rows}
"""


def sys_topics_page() -> str:
    rows = "\n".join(f"| `{PREFIX}{topic.name}` | {topic.tells} |" for topic in TOPICS)
    loads = "\n".join(f"| `{PREFIX}load/{name}/PERIOD` |" for name in LOADS)
    return f"""\
# $SYS topics

Made from `broker/sys_topics.py` by `python docs/generate.py`; change it there.

Retained messages under the names that Mosquitto uses, published every `sys_interval` seconds if
they have changed. Clients cannot publish to topics that begin with `$`.

| topic | tells |
| --- | --- |
{rows}

Moving averages per minute, for each PERIOD of {", ".join(f"`{period}`" for period in PERIODS_S)}:

| topic |
| --- |
{loads}
"""


def states_page() -> str:
    rows = "\n".join(
        f"    {node(state)} --> {node(following)}: {EVENT_NAMES[event]}"
        for (state, event), following in NEXT.items()
    )
    names = "\n".join(
        f'    state "{name}" as {node(state)}' for state, name in enumerate(STATE_NAMES)
    )
    start = node(AWAITS_PUBACK)
    return f"""\
# States of a message that the broker sends

Made from `broker/session/states.py` by `python docs/generate.py`; change it there.

A message at QoS 1 starts in *{STATE_NAMES[AWAITS_PUBACK]}*, one at QoS 2 in *{STATE_NAMES[1]}*.
An acknowledgement that is no arrow here fits nothing the broker sent: it is logged, and nothing
changes.

```mermaid
stateDiagram-v2
{names}
    [*] --> {start}: PUBLISH, QoS 1
    [*] --> {node(1)}: PUBLISH, QoS 2
{rows}
```
"""


def node(state: int) -> str:
    return STATE_NAMES[state].replace(" ", "_")
