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
TOOL = os.environ.get("ZOMBIE_TRACE", "zombie-trace")


class Entrypoint(unittest.TestCase):
    def test_it_does_what_pid_1_must(self):
        command = [TOOL, "init-check", "--format", "json", "--grace", "5s", "--", *ENTRYPOINT]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode == 3:
            self.skipTest(run.stderr.strip() or "it could not be seen at work")
        for check in json.loads(run.stdout)["checks"]:
            # The others are recommendations; `init-check --strict` would fail for them, too.
            if check["required"]:
                with self.subTest(check["id"]):
                    self.assertNotEqual(check["grade"], "fail", "; ".join(check["evidence"]))


if __name__ == "__main__":
    unittest.main()
