"""The dialect of the configuration: what is read, what is warned of, what is refused."""

import os
from pathlib import Path

import pytest

from broker.config import ConfigError, Configuration
from broker.psk_file import psk_needs

ROOT = Path(__file__).parents[2]


def parse(*lines, **how):
    return Configuration.parse("\n".join(lines), "b.conf", **how)


def ports(configuration):
    return [listener.port for listener in configuration.listeners]


class TestLines:
    @pytest.mark.parametrize(
        "text",
        [
            "# a comment\n\nlistener 1883\nauto_id_prefix two words\n",
            "\ufefflistener 1883\nauto_id_prefix two words",
            "listener 1883\r\nauto_id_prefix two words\r\n",
            "\tlistener\t1883 \n  auto_id_prefix\t two words  \n  # auto_id_prefix x",
        ],
        ids=["comments", "byte order mark", "CRLF", "tabs and blanks"],
    )
    def test_any_way_of_writing_it_is_read_alike(self, text):
        configuration = Configuration.parse(text)
        assert ports(configuration) == [1883]
        assert configuration["auto_id_prefix"] == "two words"
        assert configuration.warnings == []

    def test_the_last_line_of_an_option_with_one_value_counts(self):
        assert parse("receive_maximum 3", "receive_maximum 4")["receive_maximum"] == 4

    def test_a_repeatable_option_keeps_all_in_their_order(self):
        configuration = parse("auth_user a b", "auth_user c d e", 'behaviour x "y z"')
        assert configuration["auth_user"] == (("a", "b"), ("c", "d e"))
        assert configuration["behaviour"] == ('x "y z"',)
        assert configuration.places("auth_user") == ("b.conf:1", "b.conf:2")

    @pytest.mark.parametrize(
        ("line", "name", "value"),
        [
            ("message_size_limit 1000", "maximum_packet_size", 1000),
            ("max_packet_size 1000", "maximum_packet_size", 1000),
            ("maximum_packet_size 0", "maximum_packet_size", 268_435_460),
            ("max_keepalive 60", "server_keep_alive", 60),
            ("max_qos 1", "maximum_qos", 1),
            ("max_topic_alias 7", "topic_alias_maximum", 7),
            ("allow_duplicate_messages true", "overlapping_single", False),
            ("overlapping_single false", "allow_duplicate_messages", True),
            ("persistent_client_expiration 14d", "persistent_client_expiration", 14 * 86_400),
            ("retain_expiry_interval 2", "retain_expiry_interval", 120),
            ("accept_protocol_versions 4,5", "accept_protocol_versions", (4, 5)),
            ("connect_timeout_s 0.5", "connect_timeout_s", 0.5),
            ("log_dest file a log", "log_dest", ("file a log",)),
            ("auth_method scram-sha-1", "auth_method", ("SCRAM-SHA-1",)),
            ("ciphers_tls1.3 TLS_AES_128_GCM_SHA256", "ciphers_tls1.3", "TLS_AES_128_GCM_SHA256"),
            ("retain_available 0", "retain_available", False),
        ],
    )
    def test_value(self, line, name, value):
        assert parse("listener 0", line).listeners[0][name] == value

    def test_defaults(self):
        configuration = Configuration.default()
        for name, value in (
            ("receive_maximum", 65_535),
            ("maximum_packet_size", 2_000_000),
            ("max_queued_messages", 1_000),
            ("sys_interval", 10),
            ("allow_non_sni_connections", True),
            ("auth_method", ()),
        ):
            assert configuration[name] == value

    def test_a_name_that_is_none_is_a_bug_of_ours(self):
        with pytest.raises(KeyError):
            Configuration.default()["no_such_option"]


class TestRefused:
    """Bad values: `FILE:LINE: key: what is wrong`."""

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("receive_maximum 0", "receive_maximum: 0 is not between 1 and 65535"),
            ("receive_maximum 65536", "receive_maximum: 65536 is not between 1 and 65535"),
            ("receive_maximum 1_0", "receive_maximum: '1_0' is not a whole number"),
            ("receive_maximum ٣", "receive_maximum: '٣' is not a whole number"),
            ("receive_maximum", "receive_maximum: no value"),
            ("max_packet_size 19", "max_packet_size: 19 is not between 20 and 268435460"),
            ("maximum_qos 3", "maximum_qos: 3 is not between 0 and 2"),
            ("retain_available maybe", "retain_available: 'maybe' is not true or false"),
            (
                "retain_available true # yes",
                "retain_available: 'true # yes' is not true or false",
            ),
            ("connect_timeout_s 0", "connect_timeout_s: 0 is not between 0.1 and 3600"),
            ("connect_timeout_s soon", "connect_timeout_s: 'soon' is not a number"),
            ("listener 65536", "listener: 65536 is not between 0 and 65535"),
            ("listener x", "listener: 'x' is not a whole number"),
            (
                "listener 1883 a quic",
                "listener: 'quic' is not one of mqtt, websockets, mqttsn, http",
            ),
            (
                "listener 0 /run/mqtt.sock",
                (
                    "listener: '/run/mqtt.sock' names a Unix domain socket;"
                    " only TCP is served: name a port and an address"
                ),
            ),
            (
                "persistent_client_expiration 14",
                "persistent_client_expiration: '14' is not a number followed by h, d, w, m or y",
            ),
            ("accept_protocol_versions 4,6", "accept_protocol_versions: '6' is not 3, 4 or 5"),
            (
                "log_dest file",
                "log_dest: 'file' is not 'file PATH' or one of stderr, stdout, none, syslog, topic",
            ),
            ("auth_user me", "auth_user: 'me' is one word where two are wanted"),
            (
                "auth_method PLAIN",
                "auth_method: 'PLAIN' is not one of SCRAM-SHA-1, SCRAM-SHA-256, CHALLENGE",
            ),
            ('behaviour x "y', 'behaviour: a quotation mark is missing in x "y'),
            ("include_dir nowhere", "include_dir: ./nowhere: No such file or directory"),
            ("keyfile k", f"keyfile: there is no {os.path.abspath('k')}"),
        ],
    )
    def test_value(self, line, words):
        if line.startswith("include_dir") and os.name == "nt":
            pytest.skip("the system words it otherwise")
        with pytest.raises(ConfigError) as caught:
            parse("", "port 0", line)
        assert str(caught.value) == f"b.conf:3: {words}"

    def test_the_same_port_twice(self):
        with pytest.raises(ConfigError, match=r"^b.conf:2: listener: 1883 is that of b.conf:1$"):
            parse("listener 1883", "listener 1883")

    def test_a_key_without_its_certificate(self, tmp_path):
        (tmp_path / "k").touch()
        with pytest.raises(ConfigError, match=r"^b.conf:2: keyfile: there is no certfile"):
            parse("listener 1", f"keyfile {tmp_path / 'k'}")

    def test_certificates_asked_for_on_a_plain_listener(self):
        with pytest.raises(ConfigError, match=r"^b.conf:2: require_certificate: there is no cert"):
            parse("listener 1", "require_certificate true")

    def test_no_listener_that_can_start(self):
        with pytest.raises(ConfigError, match=r"^b.conf:1: listener: none is left to start$"):
            parse("listener 1 INADDR_ANY mqttsn")

    def test_a_file_that_is_not_there(self, tmp_path):
        path = str(tmp_path / "x.conf")
        with pytest.raises(ConfigError) as caught:
            Configuration.load(path)
        assert str(caught.value) == f"{path}: No such file or directory"

    def test_bytes_that_are_not_utf_8(self, tmp_path):
        path = tmp_path / "x.conf"
        path.write_bytes(b"port 1\nresponse_information \xff\n")
        with pytest.raises(ConfigError) as caught:
            Configuration.load(str(path))
        assert str(caught.value) == f"{path}:2: 0xFF is not UTF-8"


class TestWarnings:
    def test_an_unknown_key_is_named_with_the_nearest_known_one(self):
        assert parse("port 0", "receive_maxmum 3").warnings == [
            "b.conf:2: unknown key 'receive_maxmum' (did you mean 'receive_maximum'?)"
        ]
        assert parse("port 0", "xyzzy 3").warnings == ["b.conf:2: unknown key 'xyzzy'"]

    def test_strict_refuses_unknown_keys(self):
        with pytest.raises(ConfigError, match=r"^b.conf:2: unknown key 'xyzzy'$"):
            parse("port 0", "xyzzy 3", strict=True)
        with pytest.raises(ConfigError, match=r"^TOUCHSTONE_XYZZY: no option has this name$"):
            parse("port 0", strict=True, environment={"TOUCHSTONE_XYZZY": "1"})

    @pytest.mark.parametrize(
        "key",
        [
            *("user", "plugin", "global_plugin", "auth_plugin", "plugin_opt_x", "tls_engine"),
            *("tls_keyform", "dhparamfile", "log_facility", "retry_interval", "bind_interface"),
        ],
    )
    def test_keys_without_effect_are_accepted(self, key):
        configuration = parse("port 0", f"{key} x", strict=True)
        assert configuration.warnings == [f"b.conf:2: {key}: {key} has no effect here"]

    @pytest.mark.parametrize("version", ["tlsv1", "tlsv1.1"])
    def test_versions_of_tls_that_are_not_secure(self, version):
        assert parse("listener 0", f"tls_version {version}").warnings == [
            f"b.conf:2: tls_version: {version} is not secure; 1.2 and 1.3 are spoken"
        ]

    def test_a_bridge_is_one_warning(self):
        configuration = parse("port 0", "connection x", "address y", "bridge_insecure 1", "topic #")
        assert configuration.warnings == [
            "b.conf:2: connection: bridges are not here yet; nothing of this connection is started"
        ]

    @pytest.mark.parametrize("persistence", ["true", "false"])
    def test_persistence_is_no_warning(self, persistence):
        assert parse("port 0", f"persistence {persistence}").warnings == []

    def test_a_missing_password_file_disables_what_needs_it(self):
        configuration = parse("port 0", "password_file nowhere")
        assert configuration["password_file"] is None
        (warning,) = configuration.warnings
        path = os.path.abspath("nowhere")
        assert warning == (
            f"b.conf:2: password_file: there is no {path}; nothing that needs it works"
        )

    @pytest.mark.parametrize(
        "lines", [(), ("per_listener_settings true",)], ids=["global", "of a listener"]
    )
    def test_a_password_file_that_is_there_is_none(self, tmp_path, lines):
        path = tmp_path / "users"
        path.touch()
        assert parse("listener 1", f"password_file {path}", *lines).warnings == []

    def test_a_listener_option_before_any_listener(self):
        assert parse("use_identity_as_username true", "listener 1").warnings == [
            "b.conf:1: use_identity_as_username: no listener line stands before it"
        ]


class TestListeners:
    def test_no_configuration_is_loopback_and_anonymous(self):
        for configuration in (Configuration.default(), parse("receive_maximum 3")):
            (listener,) = configuration.listeners
            assert (listener.port, listener.address) == (1883, "")
            assert listener["allow_anonymous"] is True
        assert ports(Configuration.default(0)) == [0]

    def test_anonymous_can_be_forbidden_there_too(self):
        assert parse("allow_anonymous false").listeners[0]["allow_anonymous"] is False

    @pytest.mark.parametrize("line", ["listener 1", "port 1", "bind_address 127.0.0.1"])
    def test_a_listener_that_is_configured_is_not_anonymous(self, line):
        assert parse(line).listeners[0]["allow_anonymous"] is False

    @pytest.mark.parametrize(
        ("words", "seen"),
        [
            ("1", (1, "", "mqtt")),
            ("1 INADDR_ANY", (1, "*", "mqtt")),
            ("1 *", (1, "*", "mqtt")),
            ("1 0.0.0.0", (1, "0.0.0.0", "mqtt")),
            ("0 ::1", (0, "::1", "mqtt")),
            ("1 websockets", (1, "", "websockets")),
            ("1 localhost websockets", (1, "localhost", "websockets")),
        ],
    )
    def test_line(self, words, seen):
        (listener,) = parse("", f"listener {words}").listeners
        assert (listener.port, listener.address, listener.protocol) == seen
        assert listener.line == "b.conf:2"

    def test_protocol_on_a_line_of_its_own(self):
        assert parse("listener 1", "protocol websockets").listeners[0].protocol == "websockets"

    def test_the_default_listener_is_besides_the_others(self):
        first, second = parse("port 2", "bind_address ::1", "listener 1").listeners
        assert (first.port, first.address, first.line) == (2, "::1", "b.conf:1")
        assert second.port == 1

    def test_free_ports_are_not_the_same_port(self):
        assert ports(parse("listener 0", "listener 0")) == [0, 0]

    @pytest.mark.parametrize("protocol", ["mqttsn", "http"])
    def test_protocols_of_later_are_not_started(self, protocol):
        configuration = parse("listener 1", f"listener 2 x {protocol}", "max_connections 4")
        assert ports(configuration) == [1]
        assert configuration.listeners[0]["max_connections"] == -1
        assert configuration.warnings == [
            f"b.conf:2: listener: {protocol} is not here yet; 2 is not opened"
        ]

    def test_tls_psk_is_not_started_as_plain(self):
        configuration = parse("listener 1", "listener 2", "psk_hint x")
        assert ports(configuration) == [1]
        assert configuration.warnings == [
            "b.conf:2: listener: TLS-PSK needs a psk_file; 2 is not opened"
        ]


class TestScopes:
    def test_own_value_then_global_then_default(self):
        one, two, three = parse(
            "maximum_qos 1", "listener 1", "listener 2", "maximum_qos 0", "listener 3"
        ).listeners
        assert [one["maximum_qos"], two["max_qos"], three["maximum_qos"]] == [1, 0, 1]
        assert one["topic_alias_maximum"] == 10

    def test_a_global_key_after_a_listener_line_is_for_all(self):
        one, two = parse(
            "listener 1", "receive_maximum 3", "allow_anonymous true", "listener 2"
        ).listeners
        assert one["receive_maximum"] == two["receive_maximum"] == 3
        assert one["allow_anonymous"] is two["allow_anonymous"] is True

    def test_per_listener_settings(self):
        lines = ("listener 1", "allow_anonymous true", "listener 2", "per_listener_settings true")
        one, two = parse(*lines).listeners
        assert one["allow_anonymous"] is True
        assert two["allow_anonymous"] is False

    def test_listener_allow_anonymous(self):
        one, two = parse("listener 1", "listener_allow_anonymous true", "listener 2").listeners
        assert one["allow_anonymous"] is True
        assert two["allow_anonymous"] is False

    def test_tls_is_of_its_listener(self, tmp_path):
        (tmp_path / "c").touch()
        one, two = parse("listener 1", "listener 2", f"certfile {tmp_path / 'c'}").listeners
        assert not one.has_tls
        assert two.has_tls


class TestEnvironment:
    def test_it_counts_after_the_file(self):
        configuration = parse(
            "listener 1", "receive_maximum 3", environment={"TOUCHSTONE_RECEIVE_MAXIMUM": "4"}
        )
        assert configuration["receive_maximum"] == 4

    def test_listeners_and_other_repeated_options(self):
        configuration = Configuration.parse(
            "listener 1",
            environment={
                "TOUCHSTONE_LISTENER": "1; 0 127.0.0.1;",
                "TOUCHSTONE_AUTH_USER": "a b;c d",
                "TOUCHSTONE_CIPHERS_TLS1_3": "X",
                "TOUCHSTONE_MAX_QOS": "1",
                "HOME": "/",
            },
        )
        assert ports(configuration) == [1, 0]
        assert configuration.listeners[1].line == "TOUCHSTONE_LISTENER"
        assert configuration["auth_user"] == (("a", "b"), ("c", "d"))
        assert configuration.listeners[1]["ciphers_tls1.3"] == "X"
        assert configuration.listeners[0]["maximum_qos"] == 1
        assert configuration.warnings == []

    def test_a_bad_value_names_its_variable(self):
        with pytest.raises(ConfigError) as caught:
            parse("", environment={"TOUCHSTONE_RECEIVE_MAXIMUM": "x"})
        assert str(caught.value) == (
            "TOUCHSTONE_RECEIVE_MAXIMUM: receive_maximum: 'x' is not a whole number"
        )

    def test_an_unknown_variable_is_a_warning(self):
        assert parse("port 0", environment={"TOUCHSTONE_XYZZY": "1"}).warnings == [
            "TOUCHSTONE_XYZZY: no option has this name"
        ]

    def test_the_command_line_counts_last(self):
        configuration = parse(
            "port 1", environment={"TOUCHSTONE_PORT": "2"}, switches={"port": "3"}
        )
        assert ports(configuration) == [3]


class TestFiles:
    def test_include_dir_reads_its_files_in_their_order(self, tmp_path):
        folder = tmp_path / "more"
        folder.mkdir()
        (folder / "b.conf").write_text("receive_maximum 2\n")
        (folder / "a.conf").write_text("receive_maximum 1\nlistener 7\n")
        (folder / "c.txt").write_text("receive_maximum 3\n")
        main = tmp_path / "main.conf"
        main.write_text("include_dir more\nserver_keep_alive 9\n")
        configuration = Configuration.load(str(main))
        assert configuration["receive_maximum"] == 2
        assert configuration["server_keep_alive"] == 9
        assert configuration.listeners[0].line == f"{folder / 'a.conf'}:2"

    def test_a_folder_that_includes_itself_ends(self, tmp_path):
        main = tmp_path / "main.conf"
        main.write_text("include_dir .\n")
        with pytest.raises(ConfigError, match=r"include_dir: more than 10 deep$"):
            Configuration.load(str(main))

    def test_the_working_directory_is_first_then_the_folder_of_the_file(
        self, tmp_path, monkeypatch
    ):
        beside, here = tmp_path / "beside", tmp_path / "here"
        beside.mkdir()
        here.mkdir()
        (beside / "main.conf").write_text("listener 1\npassword_file users\n")
        (beside / "users").touch()
        monkeypatch.chdir(here)
        main = str(beside / "main.conf")
        assert Configuration.load(main)["password_file"] == str(beside / "users")
        (here / "users").touch()
        assert Configuration.load(main)["password_file"] == str(here / "users")

    def test_the_test_pki_lies_beside_the_file_and_need_not_be_there(self, tmp_path, monkeypatch):
        beside = tmp_path / "beside"
        beside.mkdir()
        main = beside / "main.conf"
        main.write_text("listener 1\ncertfile pki/server.pem\ntest_pki_dir pki\n")
        monkeypatch.chdir(tmp_path)
        configuration = Configuration.load(str(main))
        assert configuration["test_pki_dir"] == str(beside / "pki")
        assert configuration.listeners[0]["certfile"] == str(beside / "pki" / "server.pem")


class TestShippedFiles:
    def test_client_testing_conf(self):
        configuration = Configuration.load(str(ROOT / "client_testing.conf"), strict=True)
        psk = [] if psk_needs() else [18888]
        left_out = [warning.partition("; ")[2] for warning in configuration.warnings]
        assert left_out == ([] if psk else ["18888 is not opened"])
        assert ports(configuration) == [1883, 18883, 18884, 18885, 18886, 18887, *psk]
        by_port = {listener.port: listener for listener in configuration.listeners}
        tls = [port for port in by_port if by_port[port].has_tls]
        assert tls == [18884, 18885, 18886, 18887, *psk]
        assert [port for port in by_port if by_port[port].has_psk] == psk
        assert [port for port in by_port if by_port[port]["require_certificate"]] == [18884]
        assert [p for p in by_port if not by_port[p]["allow_non_sni_connections"]] == [18885]
        assert all(listener["allow_anonymous"] for listener in configuration.listeners)
        assert configuration["receive_maximum"] == 20
        assert configuration["server_keep_alive"] == 60
        assert configuration["maximum_packet_size"] > 500_100
        assert len(configuration["behaviour"]) == 7

    def test_a_file_of_the_old_test_broker_starts_unchanged(self, tmp_path):
        text = (Path(__file__).parent / "localhost_testing.conf").read_text()
        (tmp_path / "tls").mkdir()
        for name in ("all-ca.crt", "server.crt", "server.key"):
            (tmp_path / "tls" / name).touch()
        main = tmp_path / "localhost_testing.conf"
        main.write_text(text)
        configuration = Configuration.load(str(main), strict=True)
        assert ports(configuration) == [1883, 18883, 18884, 18885, 18886]
        for listener in configuration.listeners:
            assert listener["receive_maximum"] == 20
            assert listener["allow_anonymous"] is True
        users = os.path.abspath("users.txt")
        assert [warning.partition(": ")[2] for warning in configuration.warnings] == [
            "visual: visual is not here yet",
            "mscfile: mscfile is not here yet",
            f"psk_file: there is no {os.path.abspath('psk.txt')}; nothing that needs it works",
            f"password_file: there is no {users}; nothing that needs it works",
            "listener: mqttsn is not here yet; 1884 is not opened",
            "listener: http is not here yet; 8000 is not opened",
            "listener: TLS-PSK needs a psk_file; 18888 is not opened",
        ]
