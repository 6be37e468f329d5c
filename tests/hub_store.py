"""What the test server of the Hub holds: repositories with commits, large files, collections, and planned faults."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from threading import Lock


@dataclass
class Repository:
    """Commits, newest last, each {path: (content, is LFS)}; refs by name."""

    private: bool = False
    commits: list[tuple[str, dict]] = field(default_factory=lambda: [("0" * 40, {})])
    refs: dict[str, str] = field(default_factory=dict)

    def at(self, revision: str) -> tuple[str, dict] | None:
        revision = self.commits[-1][0] if revision == "main" else self.refs.get(revision, revision)
        return next((commit for commit in self.commits if commit[0] == revision), None)

    def commit(self, files: dict) -> str:
        oid = hashlib.sha1(f"{len(self.commits)}{sorted(files)}{time.time_ns()}".encode()).hexdigest()
        self.commits.append((oid, files))
        return oid


class Hub:
    """What the server holds."""

    def __init__(self):
        self.lock = Lock()
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.collections: dict[str, dict] = {}
        self.faults: list[dict] = []
        self.log: list[list] = []

    def fault(self, method: str, path: str) -> dict:
        with self.lock:
            for fault in self.faults:
                if fault["times"] and fault.get("method", method) == method and fault["path"] in path:
                    fault["times"] -= 1
                    return fault
        return {}


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def new_collection(slug: str, wish: dict) -> dict:
    facts = {
        "slug": slug,
        "title": wish["title"],
        "owner": {"name": wish["namespace"]},
        "items": [],
        "theme": "green",
    }
    return facts | {"lastUpdated": "2026-01-01T00:00:00.000Z", "position": 0, "private": False, "upvotes": 0}
