"""Runs the shell steps of a GitHub composite action or a GitLab component: FILE NAME=VALUE...

As their runners do, as far as these files need it. Ends with the code of the first step that fails.
"""

import os
import re
import subprocess
import sys

import yaml

path, *given = sys.argv[1:]
values = dict(word.split("=", 1) for word in given)
with open(path) as file:
    documents = list(yaml.safe_load_all(file))


def filled(text, inputs, pattern):
    return re.sub(pattern, lambda found: inputs[found[1]], str(text))


def all_inputs(spec):
    known = {name: (about or {}).get("default") for name, about in spec.items()}
    unknown = set(values) - set(known)
    assert not unknown, f"no such inputs: {unknown}"
    inputs = {**known, **values}
    missing = [name for name, value in inputs.items() if value is None]
    assert not missing, f"inputs without a value: {missing}"
    return inputs


code = 0
if len(documents) == 1:
    inputs = all_inputs(documents[0]["inputs"])
    for step in documents[0]["runs"]["steps"]:
        condition = step.get("if", "")
        wanted = re.findall(r"inputs\.([\w-]+) != ''", condition)
        if "run" not in step or any(not inputs[name] for name in wanted) or (code and "always()" not in condition):
            continue
        extra = {name: filled(text, inputs, r"\$\{\{ inputs\.([\w-]+) \}\}") for name, text in step["env"].items()}
        done = subprocess.run(["bash", "-e", "-c", step["run"]], env={**os.environ, **extra})
        code = code or done.returncode
else:
    inputs = all_inputs(documents[0]["spec"]["inputs"])
    (job,) = documents[1].values()
    variables = {name: filled(text, inputs, r"\$\[\[ inputs\.([\w-]+) \]\]") for name, text in job["variables"].items()}
    done = subprocess.run(["sh", "-e", "-c", "\n".join(job["script"])], env={**os.environ, **variables})
    code = done.returncode
sys.exit(code)
