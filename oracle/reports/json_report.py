"""The report as JSON: exactly the dict, as docs/report.schema.json describes it.

Keys keep the order in which the report was built, which is the same each time. Every client has a
line of its own, so that `grep` and `diff` are of use; an indented form would cost far more time,
and reports are written while clients are being served.

JSON itself cannot tell two lone surrogates in a row from the character that the pair encodes; all
else comes back as it was.
"""

import json
from typing import Any

from oracle.reports.standing import Report
from oracle.reports.text import escaped_surrogates


def render(report: Report) -> str:
    fields = [f"{_json(key)}: {_value(key, value)}" for key, value in report.items()]
    return "{\n" + ",\n".join(fields) + "\n}\n"


def _value(key: str, value: Any) -> str:
    if key == "clients" and value:
        return "[\n" + ",\n".join(map(_json, value)) + "\n]"
    return _json(value)


def _json(value: Any) -> str:
    return escaped_surrogates(json.dumps(value, ensure_ascii=False))
