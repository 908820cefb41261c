"""Programs that are not Python packages: without, tests are skipped, or fail under CI=true."""

import os
import shutil
from pathlib import Path

import pytest

NODE_MODULES = Path(__file__).parent / "node_modules"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")


def missing(what, remedy):
    sentence = f"{what} is not installed: {remedy}"
    if os.environ.get("CI") == "true":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


def program(package, *names):
    """The path of the first of these programs that is there."""
    found = next(filter(None, map(shutil.which, names)), None)
    return found or missing(names[0], f"apt-get install {package}")


def mqtt_js():
    """The folder of MQTT.js."""
    folder = NODE_MODULES / "mqtt"
    if not folder.is_dir():
        missing("MQTT.js", "npm ci --prefix tests/interop")
    return folder


def node():
    return program("nodejs", "node", "nodejs")


def chromium():
    return program("chromium", *CHROMIUM_NAMES)
