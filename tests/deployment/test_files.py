"""Image, compose file, units and proxy say what they must, and nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from connector import gunicorn_settings
from connector.config import read_settings
from tests.deployment.files import (
    INSTALLED,
    REPOSITORY,
    compose,
    compose_command,
    dockerfile,
    example_settings,
    image_command,
    unit,
    unit_command,
)

UNITS = ("duebridge-web.service", "duebridge-worker.service")
# What builds packages: named by requirements-build.txt and needed at the product's own installation only.
BUILDERS = {"hatchling", "editables", "pathspec", "pluggy", "trove-classifiers", "pip"}
# systemd's own measure of what a service could do to its machine: 0 is nothing, 10 everything.
MOST_EXPOSED = 2.0


def test_the_image_installs_by_hash_and_keeps_no_builder() -> None:
    first, build, final = dockerfile()
    (image,) = first.all("ARG")
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.\d+-slim", image)
    assert build.last("FROM") == "${PYTHON_IMAGE} AS build" and final.last("FROM") == "${PYTHON_IMAGE}"
    installs = [line for line in build.all("RUN") if "pip install" in line]
    assert len(installs) == 2
    assert "--require-hashes -r requirements.txt -r requirements-build.txt" in installs[0]
    assert "--no-deps --no-build-isolation ." in installs[1]
    (removed,) = (line for line in build.all("RUN") if "pip uninstall" in line)
    assert set(removed.partition("--yes ")[2].split()) == BUILDERS
    locked = re.findall(r"^([\w-]+)==", (REPOSITORY / "requirements-build.txt").read_text(), re.MULTILINE)
    runtime = re.findall(r"^([\w-]+)==", (REPOSITORY / "requirements.txt").read_text(), re.MULTILINE)
    assert set(locked) - set(runtime) == BUILDERS - {"pip"}, "what only builds is taken out again"
    assert not [line for line in final.all("RUN") if re.search(r"apt|pip install|gcc|make", line)]
    assert final.all("COPY") == ["--from=build /srv/duebridge /srv/duebridge"]


def test_the_image_runs_as_nobody_in_particular_and_says_whether_it_is_well() -> None:
    final = dockerfile()[-1]
    names = [name for name, _ in final.instructions]
    assert final.last("USER") == "10001:10001" and names.index("USER") < names.index("CMD")
    assert "/readyz" in final.last("HEALTHCHECK") and final.last("STOPSIGNAL") == "SIGTERM"
    assert INSTALLED.rstrip("/") in final.last("ENV")
    assert image_command()[0] == "gunicorn"


def test_the_builder_is_given_nothing_but_the_product() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    given = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = {word for line in dockerfile()[1].all("COPY") for word in line.split()[:-1]}
    assert given == copied and all((REPOSITORY / name).exists() for name in given)


def test_gunicorn_runs_threads_in_processes_loaded_after_the_fork() -> None:
    assert (gunicorn_settings.worker_class, gunicorn_settings.workers, gunicorn_settings.threads) == ("gthread", 2, 8)
    assert gunicorn_settings.preload_app is False
    assert gunicorn_settings.graceful_timeout > 35, "longer than any outside call"
    for command in (image_command(), unit_command(UNITS[0])):
        assert command[1:] == ["--config", "python:connector.gunicorn_settings", "connector.serving:application()"]


def test_compose_starts_everything_in_order_with_no_more_rights_than_needed() -> None:
    services = compose()["services"]
    assert set(services) == {"postgresql", "migrate", "web", "worker", "proxy"}
    assert compose_command("migrate") == ["duebridge", "db", "upgrade"]
    assert compose_command("web") == image_command() and compose_command("worker") == ["duebridge", "worker"]
    for name in ("web", "worker"):
        service = services[name]
        assert service["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert int(service["stop_grace_period"].removesuffix("s")) > gunicorn_settings.graceful_timeout
        assert "ports" not in service, "only the proxy is reached from outside"
    assert "ports" not in services["postgresql"]
    for volume in (*services["proxy"]["volumes"], *services["postgresql"]["volumes"]):
        source = volume.split(":")[0]
        assert not source.startswith("./deploy") or source == "./deploy/tls" or (REPOSITORY / source).is_file()
    assert not [service for service in services.values() if "/" in service.get("image", "").split(":")[0]]


def test_the_example_settings_are_complete_once_filled_in() -> None:
    settings = example_settings()
    filled = settings | {
        "DUEBRIDGE_SECRET_KEY": "x" * 40,
        "DUEBRIDGE_ENCRYPTION_KEYS": "first:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
    }
    read = read_settings(filled)
    assert read.production and read.secure_cookies and read.trusted_proxies == 1
    assert read.smtp.security == "starttls"
    assert not [value for value in settings.values() if value[:1] in "'\"" and value], "quotes would be part of it"
    empty = {name for name, value in settings.items() if not value}
    assert {"DUEBRIDGE_SECRET_KEY", "DUEBRIDGE_ENCRYPTION_KEYS"} <= empty, "no key is shipped"


def test_the_units_wait_longer_than_what_they_start() -> None:
    for name in UNITS:
        settings = unit(name)
        assert settings["User"] == ["duebridge"] and settings["NoNewPrivileges"] == ["yes"]
        assert settings["KillMode"] == ["mixed"], "the main process lets the others finish"
        assert int(settings["TimeoutStopSec"][0]) > gunicorn_settings.graceful_timeout


@pytest.fixture(scope="module")
def systemd_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A machine's root as far as the units speak of it."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here: install the package systemd to have the units verified.")
    root = tmp_path_factory.mktemp("root")
    for program in ("srv/duebridge/bin/gunicorn", "srv/duebridge/bin/duebridge", "bin/kill"):
        path = root / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    folder = root / "etc" / "systemd" / "system"
    folder.mkdir(parents=True)
    for name in UNITS:
        shutil.copy(REPOSITORY / "deploy" / "systemd" / name, folder)
    return root


def _verified(root: Path, name: str) -> str:
    """What systemd has to say against a unit."""
    command = ["systemd-analyze", "verify", f"--root={root}", "--recursive-errors=no", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.stderr.strip() if done.stderr.strip() or not done.returncode else f"exit {done.returncode}"


@pytest.mark.parametrize("name", UNITS)
def test_systemd_has_nothing_against_the_units(systemd_root: Path, name: str) -> None:
    assert _verified(systemd_root, name) == ""


def test_systemd_would_notice_a_fault(systemd_root: Path) -> None:
    path = systemd_root / "etc" / "systemd" / "system" / "broken.service"
    path.write_text((REPOSITORY / "deploy" / "systemd" / UNITS[1]).read_text().replace("PrivateTmp", "PrivteTmp"))
    assert "PrivteTmp" in _verified(systemd_root, path.name)


@pytest.mark.parametrize("name", UNITS)
def test_a_service_that_is_taken_over_can_do_little(systemd_root: Path, name: str) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager"]
    done = subprocess.run(
        [*command, str(REPOSITORY / "deploy" / "systemd" / name)], capture_output=True, text=True, timeout=60
    )
    found = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found.group(1)) <= MOST_EXPOSED
