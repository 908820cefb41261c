"""docs/configuration.md, made from the tables of options."""

from typing import Any

from broker.config_lines import variable
from broker.ignored_options import IGNORED
from broker.options import GROUPS, Option

INTRODUCTION = """\
# Configuration

Made from `broker/options.py` by `python docs/generate.py`; change it there.

## The file

A line is a key, a space and a value, which may hold spaces; a line that starts with `#` is a
comment. Keys and values are those of Mosquitto where it has them. Of options that have one value,
the last line counts.

An option of a listener stands after its `listener` line. The column *scope* says what a line is
for:

- *global*: the whole broker, wherever the line stands.
- *listener*: the listener above it; before the first one, the default listener of `port`.
- *both*: before the first `listener` line all listeners, after one that listener.
- *security*: global; with `per_listener_settings true` as *both*.

Relative paths start from the working directory. A file to be read that exists only in the folder
of the configuration file is found there, and `test_pki_dir` and what lies in it are always
relative to that folder.

A wrong value stops the start with `FILE:LINE: key: what is wrong` and exit code 2. An unknown key
is a warning, and with `--strict` an error. With `--test-config` the configuration is checked and
nothing is started.

A listener without an address is reached from this machine only, at 127.0.0.1 and ::1, and one with
`*`, as in `listener 1883 *`, from everywhere. (Mosquitto's files mean every interface without an
address: add the `*` where that is wanted.) With no `listener`, `port` or `bind_address` at all, the
broker listens on port 1883 so and takes anonymous clients. With one, `allow_anonymous` is false
unless it is said.

## The environment

Every key can come from the environment, where its variable is `TOUCHSTONE_` and the key in
capitals: `TOUCHSTONE_LISTENER=1883`, `TOUCHSTONE_ALLOW_ANONYMOUS=true`. Any other character is an
underscore (`{example}`). Options that may be repeated take several values with `;` between them.
Variables count after the file and are for all listeners; what stands after a `listener` line of
the file stays. `TOUCHSTONE_LISTENER` adds to the listeners of the file.

## Files that are written

`--ready-file PATH` writes the real address and port of every listener and the folder of the test
certificates as JSON once all listeners are open. One that is there is removed at the start; it
stays when the broker has ended.
"""

IGNORED_INTRODUCTION = """\
## Accepted without effect

Files written for other brokers may have these. Each is a warning.

| keys | what is said |
| --- | --- |
"""


def configuration_page() -> str:
    parts = [INTRODUCTION.format(example=variable("ciphers_tls1.3"))]
    for title, options in GROUPS:
        rows = "".join(_row(option) for option in options)
        parts.append(
            f"## {title}\n\n| option | scope | values | default | unit | |\n"
            f"| --- | --- | --- | --- | --- | --- |\n{rows}"
        )
    rows = "".join(
        f"| {', '.join(f'`{name}`' for name in names)} | {says.format(key='the key')} |\n"
        for says, names in IGNORED
    )
    parts.append(IGNORED_INTRODUCTION + rows)
    return "\n".join(parts)


def _row(option: Option) -> str:
    names = f"`{option.name}`"
    names += "".join(f", `{name}`" for name in option.aliases)
    names += "".join(f", not `{name}`" for name in option.opposites)
    doc = option.doc + (" May be repeated." if option.repeatable else "")
    default = option.default_says or _default(option.default)
    return (
        f"| {names} | {option.scope} | {option.parse.says} | {default} | {option.unit} | {doc} |\n"
    )


def _default(value: Any) -> str:
    if value is None or value == "" or value == ():
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return ", ".join(f"`{each}`" for each in value)
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
