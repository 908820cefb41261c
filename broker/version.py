"""The version that `--version` and `$SYS/broker/version` say; pyproject.toml has it, too."""

VERSION = "0.1.0"
