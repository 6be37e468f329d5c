"""What the test server of the Hub holds: repositories with commits, large files, collections, and planned faults."""

from __future__ import annotations

import base64
import hashlib
import time
from dataclasses import dataclass, field
from threading import Lock


@dataclass
class Repository:
    """Commits, newest last, each {path: (content, is LFS)}; refs by name; a Space's SDK and hardware."""

    private: bool = False
    sdk: str = ""
    hardware: str = ""
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


def changed(files: dict, lines: list[tuple[str, dict]], objects: dict[str, bytes]) -> dict:
    """``files`` after the changes that a commit's ``lines`` (key, value) ask for."""
    files = dict(files)
    for key, value in lines:
        if key == "file":
            files[value["path"]] = base64.b64decode(value["content"]), False
        elif key == "lfsFile":
            files[value["path"]] = objects[value["oid"]], True
        elif key == "deletedFile":
            files.pop(value["path"])
        elif key == "deletedFolder":
            files = {path: one for path, one in files.items() if not path.startswith(value["path"])}
    return files


def entry(path: str, content: bytes, lfs: bool) -> dict:
    """A file as lists of a repository's files show it."""
    facts = {"type": "file", "path": path, "size": len(content), "oid": git_hash(content)}
    digest = hashlib.sha256(content).hexdigest()
    return facts | ({"lfs": {"oid": digest, "size": len(content), "pointerSize": 130}} if lfs else {})


def new_collection(slug: str, wish: dict) -> dict:
    facts = {
        "slug": slug,
        "title": wish["title"],
        "owner": {"name": wish["namespace"]},
        "items": [],
        "theme": "green",
    }
    return facts | {"lastUpdated": "2026-01-01T00:00:00.000Z", "position": 0, "private": False, "upvotes": 0}
