"""The tables of options, and the page that is made from them."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from broker.ignored_options import IGNORED, ignored_because
from broker.options import BOTH, GLOBAL, LISTENER, NAMES, OPTIONS, SECURITY
from broker.version import VERSION
from docs.generate import FOLDER, PAGES, is_current, main

ROOT = Path(__file__).parents[2]

# mosquitto.conf(5): the keys that work, and those that are accepted at least.
WORKING = """
listener port bind_address socket_domain protocol allow_anonymous listener_allow_anonymous
password_file per_listener_settings cafile capath certfile keyfile require_certificate
use_identity_as_username use_subject_as_username tls_version ciphers crlfile psk_file psk_hint
max_inflight_messages max_queued_messages max_packet_size message_size_limit max_keepalive
max_connections max_topic_alias max_qos maximum_qos retain_available persistence
persistence_location persistence_file autosave_interval log_dest log_type log_timestamp
log_timestamp_format connection_messages sys_interval include_dir pid_file
allow_zero_length_clientid auto_id_prefix
"""
ACCEPTED = """
acl_file accept_protocol_versions mount_point use_username_as_clientid clientid_prefixes
queue_qos0_messages upgrade_outgoing_qos allow_duplicate_messages persistent_client_expiration
retain_expiry_interval check_retain_source max_inflight_bytes max_queued_bytes global_max_clients
global_max_connections memory_limit set_tcp_nodelay websockets_origin websockets_headers_size
disable_client_cert_date_checks enable_proxy_protocol max_topic_alias_broker packet_buffer_size
connection address topic bridge_insecure cleansession clientid keepalive_interval notifications
remote_username user plugin global_plugin auth_plugin plugin_opt_x tls_engine tls_keyform
dhparamfile log_facility retry_interval bind_interface
"""


@pytest.mark.parametrize("name", WORKING.split())
def test_a_key_that_works(name):
    assert name in NAMES


@pytest.mark.parametrize("name", ACCEPTED.split())
def test_a_key_that_is_accepted(name):
    assert name in NAMES or ignored_because(name)


def test_memory_limit_names_what_bounds_memory_here():
    says = ignored_because("memory_limit")
    named = {name for name in NAMES if name in says}
    assert says.startswith("memory_limit has no effect here")
    assert {"max_retained_bytes", "global_max_queued_bytes"} < named
    assert all(name.endswith("_bytes") for name in named)


def test_no_name_means_two_things():
    names = [
        name for option in OPTIONS for name in (option.name, *option.aliases, *option.opposites)
    ]
    ignored = [name for _, names in IGNORED for name in names]
    assert len(names + ignored) == len(set(names + ignored))


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_option_is_complete(option):
    assert option.scope in (GLOBAL, LISTENER, BOTH, SECURITY)
    assert option.doc.endswith(".")
    assert isinstance(option.default, tuple) or not option.repeatable
    assert option.parse.says


@pytest.mark.parametrize("name", PAGES)
def test_page_is_current(name):
    assert is_current(name), "run python docs/generate.py"


def test_check_tells_of_a_stale_page(monkeypatch, capsys):
    monkeypatch.setattr("docs.generate.PAGES", {"no-such-page.md": lambda: ""})
    assert main(["--check"]) == 1
    assert capsys.readouterr().err == (
        "docs/no-such-page.md is stale: run python docs/generate.py\n"
    )
    assert not (FOLDER / "no-such-page.md").exists()


def test_generate_runs_as_a_script(tmp_path):
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == any(not is_current(name) for name in PAGES)
    assert "Traceback" not in done.stderr


def test_version_is_that_of_the_distribution():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == VERSION
