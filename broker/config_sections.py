"""From the lines of a configuration to what each listener gets.

First all lines are sorted into those of the broker and those of its listeners, by the scope of
their option; then what only shows when all are known is checked: which listeners start, which
files are there.
"""

import difflib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from broker.config_lines import PREFIX, Line, LineError
from broker.ignored_options import ignored_because
from broker.options import BOTH, GLOBAL, NAMES, OPTIONS, SECURITY
from broker.psk_file import psk_needs

TLS_FILES = ("certfile", "keyfile", "cafile", "capath", "crlfile")
# Those that nothing is started without: less of an ACL file would mean more rights.
NEEDED = (*TLS_FILES, "acl_file")
FILES = (*NEEDED, "password_file", "psk_file")


@dataclass(slots=True)
class Setting:
    value: Any
    line: Line


Settings = dict[str, list[Setting]]  # by the name of the option; the last one counts


@dataclass(slots=True)
class ListenerDraft:
    line: Line
    port: int
    address: str = ""
    protocol: str = "mqtt"
    settings: Settings = field(default_factory=dict)
    started: bool = True


@dataclass(slots=True)
class Draft:
    settings: Settings = field(default_factory=dict)
    listeners: list[ListenerDraft] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)  # those of the warnings that name a key


def read_draft(lines: list[Line]) -> Draft:
    """What `lines` say, checked. Raises LineError."""
    draft = Draft()
    default = ListenerDraft(Line("default", 0, "port", ""), 0)
    _sort_lines(draft, default, lines)
    _find_files(draft, default)
    _place_default(draft, default)
    for listener in draft.listeners:
        _check_listener(draft, listener)
    if not any(listener.started for listener in draft.listeners):
        raise LineError(f"{draft.listeners[0].line.place}: listener: none is left to start")
    _check_broker(draft)
    return draft


def _sort_lines(draft: Draft, default: ListenerDraft, lines: list[Line]) -> None:
    each = False  # counts for the lines before it, too
    for line in lines:
        if line.key == "per_listener_settings":
            each = _value(line)
    current: ListenerDraft | None = None
    for line in lines:
        if line.key not in NAMES:
            _warn_of_key(draft, line)
            continue
        option, contrary = NAMES[line.key]
        setting = Setting((not _value(line)) if contrary else _value(line), line)
        if option.name == "listener":
            current = _add_listener(draft, setting)
        own = option.scope != GLOBAL and (option.scope != SECURITY or each)
        if not own or not line.in_file or (current is None and option.scope in (BOTH, SECURITY)):
            settings = draft.settings
        else:
            settings = (current or default).settings
        if option.repeatable:
            settings.setdefault(option.name, []).append(setting)
        else:
            settings[option.name] = [setting]


def _value(line: Line) -> Any:
    if not line.words:
        raise LineError(f"{line.place}: {line.key}: no value")
    try:
        return NAMES[line.key][0].parse(line.words)
    except ValueError as error:
        raise LineError(f"{line.place}: {line.key}: {error}") from None


def _warn_of_key(draft: Draft, line: Line) -> None:
    because = ignored_because(line.key)
    if because:
        if not any(warning.endswith(because) for warning in draft.warnings):
            draft.warnings.append(f"{line.place}: {line.key}: {because}")
        return
    if line.in_file:
        warning = f"{line.place}: unknown key '{line.key}'"
        near = difflib.get_close_matches(line.key.lower(), NAMES, 1)
        warning += f" (did you mean '{near[0]}'?)" if near else ""
    else:
        key = line.key.removeprefix(PREFIX).lower()
        because = ignored_because(key)
        warning = f"{line.key}: {because or 'no option has this name'}"
    draft.warnings.append(warning)
    if not because:
        draft.unknown.append(warning)


def _add_listener(draft: Draft, setting: Setting) -> ListenerDraft:
    port, address, protocol = setting.value
    line = setting.line
    for other in draft.listeners:
        if port and (other.port, other.address) == (port, address):
            if line.in_file:
                raise LineError(f"{line.place}: listener: {port} is that of {other.line.place}")
            return other
    draft.listeners.append(ListenerDraft(line, port, address, protocol))
    return draft.listeners[-1]


def _place_default(draft: Draft, default: ListenerDraft) -> None:
    """Add the default listener, if there is to be one, and say who may use it."""
    said = [
        draft.settings[name][-1].line for name in ("port", "bind_address") if name in draft.settings
    ]
    from_files = [line for line in said if line.source != "command line"]
    port = last(draft.settings, "port", 1883)
    if draft.listeners or from_files:
        if not said:
            for name, settings in default.settings.items():
                place = settings[-1].line.place
                draft.warnings.append(f"{place}: {name}: no listener line stands before it")
            return
        default.line, default.address = said[0], last(draft.settings, "bind_address", "")
    else:
        default.line = Line("default", 0, "port", "")
        draft.settings.setdefault("allow_anonymous", [Setting(True, default.line)])
    default.port = port
    draft.listeners.insert(0, default)


def _check_listener(draft: Draft, listener: ListenerDraft) -> None:
    own, place = listener.settings, listener.line.place
    listener.protocol = last(own, "protocol", last(draft.settings, "protocol", listener.protocol))
    if "listener_allow_anonymous" in own:
        own["allow_anonymous"] = own["listener_allow_anonymous"]
    if listener.protocol in ("mqttsn", "http"):
        listener.started = False
        draft.warnings.append(
            f"{place}: listener: {listener.protocol} is not here yet; {listener.port} is not opened"
        )
        return
    if _of(draft, listener, "psk_hint") is not None:
        _check_psk(draft, listener)
    if last(own, "tls_version", "") in ("tlsv1", "tlsv1.1"):
        setting = own["tls_version"][-1]
        draft.warnings.append(
            f"{setting.line.place}: tls_version: {setting.value} is not secure; 1.2 and 1.3 are"
            " spoken"
        )
    if _of(draft, listener, "psk_hint") is not None:
        return
    for name in ("keyfile", "require_certificate"):
        if last(own, name, False) and not _of(draft, listener, "certfile"):
            raise LineError(f"{own[name][-1].line.place}: {name}: there is no certfile beside it")
    if last(own, "require_certificate", False) and not (
        _of(draft, listener, "cafile") or _of(draft, listener, "capath")
    ):
        where = own["require_certificate"][-1].line.place
        draft.warnings.append(f"{where}: require_certificate: no cafile, so no client can connect")
    for name in ("use_identity_as_username", "use_subject_as_username"):
        if last(own, name, False) and not _of(draft, listener, "require_certificate"):
            where = own[name][-1].line.place
            draft.warnings.append(
                f"{where}: {name}: no require_certificate, so no client can connect"
            )


def _check_psk(draft: Draft, listener: ListenerDraft) -> None:
    """Leave a listener out that cannot have TLS-PSK, and certificates of one that can."""
    problem = psk_needs()
    problem = f"TLS-PSK needs {problem}" if problem else ""
    if _of(draft, listener, "psk_file") is None:
        problem = "TLS-PSK needs a psk_file"
    if problem:
        listener.started = False
        draft.warnings.append(
            f"{listener.line.place}: listener: {problem}; {listener.port} is not opened"
        )
        return
    for name in (*TLS_FILES, "require_certificate"):
        if name in listener.settings:
            where = listener.settings[name][-1].line.place
            draft.warnings.append(f"{where}: {name}: has no effect beside psk_hint")


def _check_broker(draft: Draft) -> None:
    for name, wanted, says in (
        ("log_dest", "syslog", "syslog is not here yet"),
        ("log_dest", "topic", "topic is not here yet"),
    ):
        for setting in draft.settings.get(name, ()):
            if wanted in (None, setting.value):
                draft.warnings.append(f"{setting.line.place}: {name}: {says}")


def _find_files(draft: Draft, default: ListenerDraft) -> None:
    """Make all paths absolute, and look whether the files are there that must be."""
    made = ""
    if "test_pki_dir" in draft.settings:
        setting = draft.settings["test_pki_dir"][-1]
        made = os.path.abspath(os.path.join(setting.line.folder or ".", setting.value))
        setting.value = made
    for settings in (
        draft.settings,
        default.settings,
        *(each.settings for each in draft.listeners),
    ):
        for name, setting in _paths(settings):
            setting.value = (
                _find(setting, made) if name in FILES else os.path.abspath(setting.value)
            )
            if name not in FILES or os.path.exists(setting.value):
                continue
            says = f"{setting.line.place}: {name}: there is no {setting.value}"
            if name in NEEDED and not _lies_in(setting.value, made):
                raise LineError(says)
            if name not in NEEDED and not _lies_in(setting.value, made):
                draft.warnings.append(f"{says}; nothing that needs it works")
                setting.value = None


def _paths(settings: Settings) -> Iterator[tuple[str, Setting]]:
    for name, each in settings.items():
        if NAMES[name][0].parse.is_path and name != "test_pki_dir":
            yield from ((name, setting) for setting in each)


def _find(setting: Setting, made: str) -> str:
    path: str = setting.value
    here = os.path.abspath(path)
    beside = os.path.abspath(os.path.join(setting.line.folder or ".", path))
    if _lies_in(beside, made) or (os.path.exists(beside) and not os.path.exists(here)):
        return beside
    return here


def _lies_in(path: str, folder: str) -> bool:
    return bool(folder) and path.startswith(folder + os.sep)


def last(settings: Settings, name: str, default: Any) -> Any:
    """The value that counts of an option that has one."""
    return settings[name][-1].value if name in settings else default


def _of(draft: Draft, listener: ListenerDraft, name: str) -> Any:
    return last(listener.settings, name, last(draft.settings, name, None))


def complete_values(*layers: Settings) -> dict[str, Any]:
    """The value of every option, under all its names; a later layer wins."""
    values: dict[str, Any] = {}
    for option in OPTIONS:
        value = option.default
        for settings in layers:
            if option.repeatable and option.name in settings:
                value = tuple(setting.value for setting in settings[option.name])
            else:
                value = last(settings, option.name, value)
        for name in (option.name, *option.aliases):
            values[name] = value
        for name in option.opposites:
            values[name] = not value
    return values
