"""The table of attacks and faults: ``python -m bench.abuse`` runs tests/test_abuse.py and writes docs/security.md.

Each row is a test: what was tried, whether it is refused or harmless, how far the peak of the process's memory was
above its level before, and how long it took. Exits 1 if a test fails.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from training.tables import table

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/security.md"
BEGIN, END = "<!-- attacks -->", "<!-- end of attacks -->"


def title(row: dict) -> str:
    """The attack in words, as Markdown that shows markup as it is."""
    words = f"{row['what']} {row['case']}".strip()
    return "".join(f"&#{ord(letter)};" if letter in "<>|*_`[]&" else letter for letter in words)


def rows() -> list[dict]:
    """What the tests report."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows"
        command = [sys.executable, "-m", "pytest", "-n0", "-q", "tests/test_abuse.py", "-k", "not table"]
        subprocess.run(command, cwd=ROOT, env=os.environ | {"ABUSE_ROWS": str(path)}, check=True)
        return [json.loads(line) for line in path.read_text().splitlines()]


def main() -> int:
    try:
        found = rows()
    except subprocess.CalledProcessError:
        return 1
    lines = [[title(row), row["outcome"], f"{row['peak']:.0f}", f"{row['seconds']:.2f}"] for row in found]
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    head = ["attack or fault", "outcome", "peak memory, MB", "seconds"]
    PAGE.write_text(f"{before}{BEGIN}\n{table(head, lines)}\n{END}{after}")
    print(f"{len(lines)} attacks and faults: {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
