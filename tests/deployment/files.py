"""What the deployment files say is to be run, read from the files themselves."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
# Where image and units keep the product; here it is the environment the tests run in.
INSTALLED = "/srv/duebridge/bin/"
HERE = str(Path(sys.executable).parent)


@dataclass(frozen=True)
class Stage:
    """One stage of a Dockerfile: its instructions in order, as (name, text)."""

    instructions: tuple[tuple[str, str], ...]

    def all(self, name: str) -> list[str]:
        """The texts of every instruction of a name."""
        return [text for found, text in self.instructions if found == name]

    def last(self, name: str) -> str:
        """The one that counts."""
        return self.all(name)[-1]


def dockerfile() -> list[Stage]:
    """The stages of the Dockerfile; what stands before the first FROM is a stage of its own."""
    text = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    stages: list[list[tuple[str, str]]] = [[]]
    for line in lines.replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, words = line.strip().partition(" ")
            if name == "FROM":
                stages.append([])
            stages[-1].append((name, " ".join(words.split())))
    return [Stage(tuple(stage)) for stage in stages]


def image_command() -> list[str]:
    """What a container of the image runs when nothing else is said."""
    stage = dockerfile()[-1]
    assert not stage.all("ENTRYPOINT"), "the command is the whole of it"
    return list(json.loads(stage.last("CMD")))


def image_health() -> list[str]:
    """What tells whether such a container can serve."""
    text = dockerfile()[-1].last("HEALTHCHECK")
    return list(json.loads(text[text.index("CMD") + 3 :]))


def image_environment() -> dict[str, str]:
    """What the image sets, its path left out."""
    words = shlex.split(" ".join(dockerfile()[-1].all("ENV")))
    return {name: value for name, _, value in (word.partition("=") for word in words) if name != "PATH"}


def compose() -> dict[str, Any]:
    """compose.yaml, its anchors resolved."""
    return dict(yaml.safe_load((REPOSITORY / "compose.yaml").read_text(encoding="utf-8")))


def compose_command(service: str) -> list[str]:
    """What a service of compose.yaml runs."""
    return list(compose()["services"][service].get("command") or image_command())


def unit(name: str) -> dict[str, list[str]]:
    """The [Service] settings of a systemd unit; a setting may stand several times."""
    settings: dict[str, list[str]] = {}
    section = ""
    for line in (REPOSITORY / "deploy" / "systemd" / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            settings.setdefault(key, []).append(value)
    return settings


def unit_command(name: str) -> list[str]:
    """What a unit starts; only the folder the product is installed in is this environment's."""
    (command,) = unit(name)["ExecStart"]
    words = shlex.split(command)
    assert words[0].startswith(INSTALLED)
    return [f"{HERE}/{words[0].removeprefix(INSTALLED)}", *words[1:]]


def example_settings() -> dict[str, str]:
    """deploy/duebridge.env.example as systemd and compose read it."""
    text = (REPOSITORY / "deploy" / "duebridge.env.example").read_text(encoding="utf-8")
    pairs = (line.partition("=") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """A process's surroundings: the system's own, the product on the path as in the image, and these settings."""
    kept = {name: value for name, value in os.environ.items() if not re.match(r"DUEBRIDGE_|DATABASE_URL$", name)}
    return {**kept, "PATH": f"{HERE}:{os.environ.get('PATH', '')}", **settings}
