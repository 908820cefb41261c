"""The same breach by many clients, in one group: for the forms that must stay short."""

from dataclasses import dataclass

from oracle.reports.lookup import label_of
from oracle.reports.standing import Report, Violation, stands
from oracle.reports.text import counted, name_of


@dataclass(slots=True)
class Group:
    """Violations of one statement in the same way."""

    label: str  # the statement's key
    example: Violation  # that of the first client
    stands: bool
    first_client: str  # its name
    clients: int = 0
    times: int = 0

    @property
    def who(self) -> str:
        """`sensor-1`, `sensor-1 and 2 others`."""
        others = self.clients - 1
        return (
            f"{self.first_client} and {counted(others, 'other')}" if others else self.first_client
        )

    @property
    def rank(self) -> int:
        """What stands comes first, what is silenced last."""
        if self.stands:
            return 0
        return 1 if self.example["silenced"] is None else 2


def grouped(report: Report, fail_on: str) -> list[Group]:
    groups: dict[tuple[str, ...], Group] = {}
    for client in report["clients"]:
        counted_here = set()
        for violation in client["violations"]:
            silenced = violation["silenced"]
            key = (
                violation["document"],
                violation["statement"],
                violation["level"],
                violation["summary"],
                "" if silenced is None else f"silenced: {silenced}",
            )
            group = groups.get(key)
            if group is None:
                group = groups[key] = Group(
                    label_of(violation["document"], violation["statement"]),
                    violation,
                    stands(violation, fail_on),
                    name_of(client),
                )
            group.times += violation["count"]
            if key not in counted_here:
                counted_here.add(key)
                group.clients += 1
    return sorted(groups.values(), key=lambda group: group.rank)
