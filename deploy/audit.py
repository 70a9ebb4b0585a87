"""Compare the pinned versions with known weaknesses, by pip-audit; say so if there are no data.

    python deploy/audit.py PIP_AUDIT LOCK

Exit code 1: a weakness is known; 0: none is, or nothing could be compared, which is said.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

_OPTIONS = ("--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json")


def verdict(document: Mapping[str, Any] | None, lock: str, trouble: str) -> tuple[int, str]:
    """Return exit code and text of what pip-audit found; None: it has written nothing."""
    if document is None:
        return 0, f"NOT AUDITED: {lock}: the data cannot be reached: {trouble}"
    listed = document["dependencies"]
    compared = [one for one in listed if "skip_reason" not in one]
    weak = [one for one in compared if one["vulns"]]
    for_each = [
        f"{one['name']} {one['version']}: {', '.join(found['id'] for found in one['vulns'])}"
        for one in weak
    ]
    if weak:
        return 1, "\n".join([f"{lock}: {len(weak)} packages have known weaknesses", *for_each])
    if not compared:
        return 0, f"NOT AUDITED: {lock}: the index has no data on any of {len(listed)} packages"
    left = len(listed) - len(compared)
    return 0, f"{lock}: no known weakness in {len(compared)} packages; no data on {left}"


def main(program: str, lock: str) -> int:
    """Audit one lock file."""
    done = subprocess.run(
        [program, *_OPTIONS, "--requirement", lock], capture_output=True, text=True, check=False
    )
    try:
        document = json.loads(done.stdout)
    except ValueError:
        document = None
    lines = done.stderr.strip().splitlines()
    code, text = verdict(document, lock, lines[-1][:300] if lines else "no reason was given")
    print(text)
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
