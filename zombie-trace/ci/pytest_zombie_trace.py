"""A plugin for pytest: tests that leave zombies fail.

Copy it beside your tests, or anywhere on PYTHONPATH, and load it with `-p pytest_zombie_trace`, or by a line
`pytest_plugins = ["pytest_zombie_trace"]` in the topmost conftest.py.

    pytest -p pytest_zombie_trace                     looks for zombies after each module; needs no privilege
    pytest -p pytest_zombie_trace --zombies check     runs everything under `zombie-trace check`; needs root

The first sees zombies of pytest's own descendants that stay for --zombies-min-age. The second also sees what lived
shortly, what was adopted by others, and containers; it says which cause each has. Further options for it go into
--zombies-options, for example "--policy zombies.toml --junit zombies.xml".
"""

import json
import os
import shlex
import subprocess
import sys
import time

import pytest

TOOL = os.environ.get("ZOMBIE_TRACE", "zombie-trace")
INSIDE = "PYTEST_UNDER_ZOMBIE_TRACE"


def pytest_addoption(parser):
    group = parser.getgroup("zombie-trace")
    group.addoption("--zombies", choices=["scan", "check", "off"], default="scan", help="how to look for zombies")
    group.addoption("--zombies-min-age", type=float, default=0.5, help="seconds that a zombie must stay (scan)")
    group.addoption("--zombies-options", default="", help="further options of zombie-trace check")


def pytest_cmdline_main(config):
    if config.getoption("zombies") != "check" or os.environ.get(INSIDE):
        return None
    options = shlex.split(config.getoption("zombies_options"))
    tests = [sys.executable, "-m", "pytest", *map(str, config.invocation_params.args)]
    run = subprocess.run([TOOL, "check", *options, "--", *tests], env={**os.environ, INSIDE: "1"})
    return run.returncode


def is_ours(pid):
    """Whether a process descends from this one, or is it."""
    while pid > 1:
        if pid == os.getpid():
            return True
        try:
            with open(f"/proc/{pid}/stat", "rb") as stat:
                # The name, in brackets, may have anything in it.
                pid = int(stat.read().rpartition(b")")[2].split()[1])
        except OSError:
            return False
    return False


def zombies():
    """The zombies of our descendants, by pid and start."""
    run = subprocess.run([TOOL, "scan", "--format", "json"], capture_output=True, text=True)
    if not run.stdout:
        pytest.fail(f"zombie-trace scan: {run.stderr.strip()}", pytrace=False)
    found = {}
    for zombie in json.loads(run.stdout)["zombies"]:
        parent = zombie["parent"]
        if parent and is_ours(parent["pid"]):
            found[zombie["process"]["pid"], zombie["process"]["start_ns"]] = zombie
    return found


@pytest.fixture(scope="module", autouse=True)
def no_zombies_are_left(request):
    """Fails, at the end of a module, over zombies that its tests have left."""
    if request.config.getoption("zombies") != "scan":
        yield
        return
    before = zombies()
    yield
    left = {key: zombie for key, zombie in zombies().items() if key not in before}
    if left:
        # One that is just about to be reaped is none.
        time.sleep(request.config.getoption("zombies_min_age"))
        still = zombies()
        left = {key: zombie for key, zombie in left.items() if key in still}
    if left:
        lines = []
        for zombie in left.values():
            process, parent = zombie["process"], zombie["parent"]
            who = parent.get("cmdline") or parent["comm"]
            lines.append(f"{process['comm']} ({process['pid']}) is a zombie; its parent is {who} ({parent['pid']})")
        pytest.fail("zombies are left:\n" + "\n".join(lines), pytrace=False)
