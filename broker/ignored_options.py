"""Names in the files of other brokers that have no effect here, and what is said of them.

A name with a `*` at its end stands for all names that start so.
"""

_BRIDGES = "bridges are not here yet; nothing of this connection is started"
_NO_EFFECT = "{key} has no effect here"
_UNSUPPORTED = "{key} is not supported"
# Python does not say what a message takes of the heap; what each kind may take is counted.
_MEMORY = (
    "{key} has no effect here; global_max_queued_bytes, max_retained_bytes,"
    " global_max_subscription_bytes and max_connection_output_bytes are what bounds memory"
)

IGNORED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("{key} is not here yet", ("visual", "mscfile")),
    (
        _BRIDGES,
        (
            *(
                "connection",
                "address",
                "addresses",
                "topic",
                "bridge_*",
                "cleansession",
                "clientid",
            ),
            *("keepalive_interval", "notifications", "notifications_local_only"),
            *("notification_topic", "remote_clientid", "remote_username", "remote_password"),
            *("local_clientid", "local_username", "local_password", "local_cleansession"),
            *("start_type", "idle_timeout", "restart_timeout", "round_robin", "threshold"),
            *("try_private", "username", "password"),
        ),
    ),
    (
        _NO_EFFECT,
        (
            *("user", "plugin", "global_plugin", "plugin_load", "plugin_use", "plugin_opt_*"),
            *("auth_plugin", "auth_opt_*", "auth_plugin_deny_special_chars", "tls_engine"),
            *("tls_engine_kpass_sha1", "tls_keyform", "dhparamfile", "log_facility"),
            *("retry_interval", "bind_interface", "store_clean_interval", "sysinfo_interval"),
            *("websockets_log_level", "autosave_on_changes"),
        ),
    ),
    (
        _UNSUPPORTED,
        (
            *("mount_point", "use_username_as_clientid", "clientid_prefixes"),
            *("check_retain_source", "max_inflight_bytes"),
            *("disable_client_cert_date_checks", "enable_proxy_protocol", "packet_buffer_size"),
            *("http_dir", "listener_auto_id_prefix"),
        ),
    ),
    (_MEMORY, ("memory_limit",)),
)

_WHOLE = {name: says for says, names in IGNORED for name in names if not name.endswith("*")}
_STARTS = {name[:-1]: says for says, names in IGNORED for name in names if name.endswith("*")}


def ignored_because(key: str) -> str | None:
    """Why `key` has no effect, or None if it is not one of these names."""
    says = _WHOLE.get(key)
    if says is None:
        says = next((says for start, says in _STARTS.items() if key.startswith(start)), None)
    return says and says.format(key=key)
