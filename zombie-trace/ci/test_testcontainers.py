"""Containers of Testcontainers under zombie-trace, as an ordinary test.

The containers are started by a daemon, and no client of it that is known starts them. So the whole suite runs under
`zombie-trace check`, which is told to follow all that come up meanwhile, on a runner that does one job:

    sudo zombie-trace check --containers new -- python3 -m pytest test_testcontainers.py

It fails over a container that leaves orphans unreaped, and over one whose stop signal is dropped. With other jobs on the
same machine name the containers instead: `--containers web`. Name the image below, or in IMAGE.
"""

import os

import pytest

testcontainers = pytest.importorskip("testcontainers.core.container")

IMAGE = os.environ.get("IMAGE", "web:1")


@pytest.fixture
def web():
    # An init would mend what is found: try it with init=True.
    with testcontainers.DockerContainer(IMAGE).with_name("web").with_kwargs(init=False) as container:
        yield container


def test_the_service_starts_processes_and_stops(web):
    code, _ = web.exec(["sh", "-c", "sleep 0.1 &"])
    assert code == 0
    # Unlike the end of the fixture, which kills, this asks it to stop.
    web.get_wrapped_container().stop(timeout=5)
