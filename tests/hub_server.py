"""A small server that speaks enough of the Hub's protocol for the unmodified client: ``python -m tests.hub_server``.

It prints its address, keeps everything in memory, and misbehaves on demand: ``POST /faults`` with a JSON list of
{"path": part of a path, "method", "kind", "times", ...} where kind is
"status" (answers ``status``), "cut" (the connection ends after ``after`` bytes of a longer body), "short" (a body cut
to ``after`` bytes that says it is whole), "tamper" (flips a bit).
``GET /log`` lists the requests that were answered, as [method, path, status]. What it refuses, and the tokens that it
knows, are in ``tests/hub_rules.py``.
"""

from __future__ import annotations

import hashlib
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from tests.hub_rules import ACCOUNTS, Account, hardware_error, may_write, metadata_errors
from tests.hub_store import Hub, Repository, changed, entry, git_hash, new_collection

LFS = (".safetensors", ".png", ".webp", ".onnx")


class Refused(Exception):
    """The answer is this status and error."""

    def __init__(self, status: int, code: str):
        self.status, self.code = status, code


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_):
        pass

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def answer(self, status: int = 200, body: bytes | dict | list = b"", **headers) -> None:
        if not isinstance(body, bytes):
            body, headers = json.dumps(body).encode(), {"Content_Type": "application/json", **headers}
        self.hub.log.append([self.command, self.path, status])
        self.send_response(status)
        length = headers.pop("Length", len(body))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        fault = self.spoiled
        if fault.get("kind") == "tamper" and body:
            body = body[:-1] + bytes([body[-1] ^ 1])
        if fault.get("kind") in ("cut", "short"):
            body, self.close_connection = body[: fault.get("after", 0)], True
            length = len(body) if fault["kind"] == "short" else length
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def route(self) -> None:
        path = unquote(urlsplit(self.path).path)
        body = self.body()
        self.spoiled = {} if path in ("/faults", "/log") else self.hub.fault(self.command, path)
        if self.spoiled.get("kind") == "status":
            return self.answer(self.spoiled["status"], {"error": "as asked"})
        for pattern, name in ROUTES:
            if match := re.fullmatch(pattern, path):
                try:
                    return getattr(self, name)(body, *match.groups())
                except Refused as error:
                    return self.refuse(error.status, error.code)
        return self.refuse(404, "EntryNotFound")

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = route

    def refuse(self, status: int, code: str) -> None:
        self.answer(status, {"error": code}, X_Error_Code=code, X_Error_Message=code)

    @property
    def account(self) -> Account | None:
        """Whose token came with the request."""
        return ACCOUNTS.get(self.headers.get("Authorization", "").removeprefix("Bearer "))

    def writer(self, name: str) -> Account:
        """The account, which may write to the repository ``name``."""
        if self.account is None:
            raise Refused(401, "Unauthorized")
        if not may_write(self.account, name):
            raise Refused(403, "Forbidden")
        return self.account

    def repository(self, kind: str | None, name: str) -> Repository:
        """The repository, which is there and may be seen, or written to if the request wants that."""
        repository = self.hub.repositories.get(f"{(kind or 'models').strip('/')}/{name}")
        if self.command in ("POST", "PUT"):
            self.writer(name)
        if repository is None or (
            repository.private and not (self.account and name.startswith(self.account.name + "/"))
        ):
            raise Refused(404 if self.account else 401, "RepoNotFound")
        return repository

    def commit_at(self, kind: str | None, name: str, revision: str) -> tuple[str, dict]:
        commit = self.repository(kind, name).at(revision)
        if commit is None:
            raise Refused(404, "RevisionNotFound")
        return commit

    def faults(self, body: bytes) -> None:
        self.hub.faults = json.loads(body)
        self.answer()

    def requests(self, _) -> None:
        self.answer(200, self.hub.log)

    def whoami(self, _) -> None:
        if self.account is None:
            raise Refused(401, "Unauthorized")
        role = {"accessToken": {"role": self.account.role}}
        self.answer(200, {"type": "user", "name": self.account.name, "auth": role, "isPro": self.account.paid})

    def create(self, body: bytes) -> None:
        wish = json.loads(body)
        kind = wish.get("type") or "model"
        name = f"{wish.get('organization') or (self.account.name if self.account else '')}/{wish['name']}"
        account, hardware = self.writer(name), wish.get("hardware") or "cpu-basic"
        if kind == "space" and (error := hardware_error(account, wish["sdk"], hardware)):
            raise Refused(*error)
        private = wish.get("visibility") == "private" or bool(wish.get("private"))
        key = f"{kind}s/{name}"
        address = f"http://{self.headers['Host']}/{'' if kind == 'model' else kind + 's/'}{name}"
        taken = key in self.hub.repositories
        if not taken:
            self.hub.repositories[key] = Repository(private, wish.get("sdk", ""), hardware)
        self.answer(409 if taken else 200, {"url": address, "name": name})

    def runtime(self, _, name: str) -> None:
        hardware = self.repository("spaces", name).hardware
        self.answer(200, {"stage": "BUILDING", "hardware": {"current": None, "requested": hardware}})

    def hardware(self, body: bytes, name: str) -> None:
        repository, hardware = self.repository("spaces", name), json.loads(body)["flavor"]
        if error := hardware_error(self.writer(name), repository.sdk, hardware):
            raise Refused(*error)
        repository.hardware = hardware
        self.runtime(body, name)

    def yaml(self, body: bytes) -> None:
        wish = json.loads(body)
        errors = metadata_errors(wish.get("repoType") or "model", wish["content"])
        words = {"errors": [{"message": error} for error in errors], "warnings": []}
        plain = self.headers.get("Accept") == "text/plain"
        self.answer(400 if errors else 200, "\n".join(errors).encode() if plain else words)

    def preupload(self, body: bytes, kind: str, name: str, revision: str) -> None:
        _, files = self.commit_at(kind, name, revision)
        entries = []
        for file in json.loads(body)["files"]:
            mode = "lfs" if file["path"].endswith(LFS) else "regular"
            one = {"path": file["path"], "uploadMode": mode, "shouldIgnore": False}
            if file["path"] in files:
                content, lfs = files[file["path"]]
                one["oid"] = hashlib.sha256(content).hexdigest() if lfs else git_hash(content)
            entries.append(one)
        self.answer(200, {"files": entries})

    def batch(self, body: bytes, kind: str | None, name: str) -> None:
        self.repository(kind, name)
        wanted, host = json.loads(body)["objects"], f"http://{self.headers['Host']}"
        objects = []
        for one in wanted:
            links = {k: {"href": f"{host}/lfs/{k}/{one['oid']}"} for k in ("upload", "verify")}
            objects.append(one if one["oid"] in self.hub.objects else one | {"actions": links})
        self.answer(200, {"transfer": "basic", "objects": objects})

    def upload(self, body: bytes, oid: str) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            return self.answer(400)
        self.hub.objects[oid] = body
        self.answer()

    def verify(self, body: bytes, oid: str) -> None:
        self.answer(200 if len(self.hub.objects.get(oid, b"")) == json.loads(body)["size"] else 404)

    def commit(self, body: bytes, kind: str, name: str, revision: str) -> None:
        repository = self.repository(kind, name)
        with self.hub.lock:
            parent, files = repository.at(revision)
            lines = [(one["key"], one["value"]) for one in map(json.loads, body.splitlines())]
            if any(key == "header" and value.get("parentCommit") not in (None, parent) for key, value in lines):
                raise Refused(412, "the parent is not the newest commit")
            files = changed(files, lines, self.hub.objects)
            readme = files.get("README.md", (b"", False))[0].decode()
            if readme and (errors := metadata_errors(kind.removesuffix("s"), readme)):
                raise Refused(400, "; ".join(errors))
            oid = repository.commit(files)
        link = f"http://{self.headers['Host']}/{name}/commit/{oid}"
        self.answer(200, {"commitOid": oid, "commitUrl": link, "success": True})

    def info(self, _, kind: str, name: str, revision: str | None) -> None:
        commit, repository = self.commit_at(kind, name, revision or "main"), self.repository(kind, name)
        files = [{"rfilename": path, "size": len(content)} for path, (content, _) in commit[1].items()]
        facts = {"id": name, "sha": commit[0], "private": repository.private, "siblings": files, "tags": []}
        self.answer(200, facts | {"downloads": 0, "likes": 0})

    def tree(self, _, kind: str, name: str, revision: str) -> None:
        self.answer(200, [entry(path, *file) for path, file in self.commit_at(kind, name, revision)[1].items()])

    def resolve(self, _, kind: str | None, name: str, revision: str, path: str) -> None:
        commit = self.commit_at(kind, name, revision)
        if path not in commit[1]:
            return self.refuse(404, "EntryNotFound")
        content, lfs = commit[1][path]
        tag = hashlib.sha256(content).hexdigest() if lfs else git_hash(content)
        headers = {"X_Repo_Commit": commit[0], "ETag": f'"{tag}"', "Accept_Ranges": "bytes"}
        if lfs:
            headers |= {"X_Linked_Etag": f'"{tag}"', "X_Linked_Size": len(content)}
        begins = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if self.command == "HEAD":
            return self.answer(200, b"", Length=len(content), **headers)
        if begins:
            first, last = int(begins[1]), int(begins[2] or len(content) - 1)
            headers["Content_Range"] = f"bytes {first}-{last}/{len(content)}"
            return self.answer(206, content[first : last + 1], **headers)
        self.answer(200, content, **headers)

    def tag(self, body: bytes, kind: str, name: str, revision: str) -> None:
        repository = self.repository(kind, name)
        wish = json.loads(body)["tag"]
        if wish in repository.refs:
            return self.answer(409, {"error": "tag exists"})
        repository.refs[wish] = repository.at(revision)[0]
        self.answer()

    def collection(self, body: bytes) -> None:
        wish = json.loads(body)
        slug = f"{wish['namespace']}/{wish['title'].lower().replace(' ', '-')}-{'0' * 24}"
        taken = slug in self.hub.collections
        self.hub.collections.setdefault(slug, new_collection(slug, wish))
        self.answer(409 if taken else 200, self.hub.collections[slug])

    def items(self, body: bytes, slug: str) -> None:
        collection, item = self.hub.collections[slug], json.loads(body)["item"]
        if any(one["id"] == item["id"] for one in collection["items"]):
            return self.answer(409, {"error": "is there"})
        collection["items"].append({"_id": "0" * 24, "position": 0, "author": "owner"} | item)
        self.answer(200, collection)

    def one_collection(self, _, slug: str) -> None:
        self.answer(200, self.hub.collections[slug])


KIND, NAME = r"/api/(models|datasets|spaces)", r"([^/]+/[^/]+)"
ROUTES = [
    (r"/faults", "faults"),
    (r"/log", "requests"),
    (r"/api/whoami-v2", "whoami"),
    (r"/api/repos/create", "create"),
    (r"/api/validate-yaml", "yaml"),
    (r"/api/collections", "collection"),
    (rf"/api/collections/{NAME}/items?", "items"),
    (rf"/api/collections/{NAME}", "one_collection"),
    (rf"/api/spaces/{NAME}/runtime", "runtime"),
    (rf"/api/spaces/{NAME}/hardware", "hardware"),
    (rf"{KIND}/{NAME}/preupload/(.+)", "preupload"),
    (rf"{KIND}/{NAME}/commit/(.+)", "commit"),
    (rf"{KIND}/{NAME}/tree/([^/]+)/?", "tree"),
    (rf"{KIND}/{NAME}/tag/(.+)", "tag"),
    (rf"{KIND}/{NAME}(?:/revision/(.+))?", "info"),
    (rf"/(datasets/|spaces/)?{NAME}\.git/info/lfs/objects/batch", "batch"),
    (r"/lfs/upload/(\w+)", "upload"),
    (r"/lfs/verify/(\w+)", "verify"),
    (rf"/(datasets/|spaces/)?{NAME}/resolve/([^/]+)/(.+)", "resolve"),
]


def main() -> None:
    Handler.hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
