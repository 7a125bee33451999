"""The entrypoint as PID 1, as an ordinary test of a project's own suite.

Copy it among the tests and name the entrypoint below, or in ENTRYPOINT. Needs root, as in a container that is run with
--privileged; elsewhere the test is skipped, which is not a pass. Run it with pytest, or with
`python3 -m unittest test_entrypoint`.
"""

import json
import os
import shlex
import subprocess
import unittest

ENTRYPOINT = shlex.split(os.environ.get("ENTRYPOINT", "tini -- ./server"))
# `zombie-trace init-check --list` shows what else there is.
REQUIRED = ["reaps-orphans", "ends-within-grace", "children-get-term"]
TOOL = os.environ.get("ZOMBIE_TRACE", "zombie-trace")


class Entrypoint(unittest.TestCase):
    def test_it_does_what_pid_1_must(self):
        options = ["--format", "json", "--grace", "5s", "--only", ",".join(REQUIRED)]
        run = subprocess.run([TOOL, "init-check", *options, "--", *ENTRYPOINT], capture_output=True, text=True)
        if run.returncode == 3:
            self.skipTest(run.stderr.strip() or "it could not be seen at work")
        for check in json.loads(run.stdout)["checks"]:
            with self.subTest(check["id"]):
                self.assertNotEqual(check["grade"], "fail", "; ".join(check["evidence"]))


if __name__ == "__main__":
    unittest.main()
