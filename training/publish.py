"""Put checkpoints, or the app, on the Hugging Face Hub: ``python -m training.publish CHECKPOINT --repo OWNER/NAME``.

The token comes from where the Hub's client keeps it (``hf auth login``, or HF_TOKEN). Publishing again uploads only
what has changed.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from synth import hub, seal
from training.card import write_card

FILES = ("README.md", "config.json", "model.safetensors", "seal.json", "evaluation.json", "start.safetensors")
PICTURES = ("samples.png", "units.png", "units.json", "examples/*.png")
ROOT = Path(__file__).resolve().parent.parent
SPACE = ("app.py", "requirements.txt", "README.md", "synth/**/*.py", "synth/web/page.*", "docs/evidence/*.png")
"""What the app needs; the checkpoints come from the Hub."""
COLLECTION = "Robust classifiers for image synthesis"


def files(folder: Path) -> dict[str, Path]:
    """What of a checkpoint's folder is published, by path; ValueError for one that is not fit for it."""
    for name in FILES[1:5]:
        if not (folder / name).exists():
            remedy = ", run python -m training.evaluate first" if name == "evaluation.json" else ""
            raise ValueError(f"checkpoint: expected {name} in {folder}{remedy}")
    reason = seal.broken(folder)
    if reason:
        raise ValueError(f"checkpoint: expected whole files in {folder}, got {reason}")
    hub.load(folder)
    write_card(folder)
    found = [path for pattern in (*FILES, *PICTURES) for path in sorted(folder.glob(pattern))]
    return {path.relative_to(folder).as_posix(): path for path in found}


def space_files(checkpoint: str, folder: Path) -> dict[str, Path]:
    """What a Space needs, by path: the app, and a README that has it preload ``checkpoint`` (owner/name)."""
    readme = (ROOT / "README.md").read_text()
    front, rest = re.match(r"---\n(.*?)\n---\n(.*)", readme, re.DOTALL).groups()
    front += f"\nmodels:\n- {checkpoint}\npreload_from_hub:\n- {checkpoint}"
    text = f"---\n{front}\n---\n\n" + rest.split("\n![", 1)[0].strip() + "\n"
    (folder / "README.md").write_text(text)
    (folder / "hub.txt").write_text(checkpoint + "\n")
    found = {p.relative_to(ROOT).as_posix(): p for pattern in SPACE for p in sorted(ROOT.glob(pattern))}
    return found | {"README.md": folder / "README.md", "checkpoints/hub.txt": folder / "hub.txt"}


def publish(
    api: HfApi,
    repo: str,
    found: dict[str, Path],
    *,
    kind: str = "model",
    private: bool = False,
    tag: str | None = None,
    message: str = "Publish",
) -> str:
    """Make ``repo`` hold just ``found`` in one commit on its newest one; the commit's hash, the old one if none is due.

    What is there with the same content is not sent again. ValueError for what the Hub refuses.
    """
    with _told(repo):
        made = {"space_sdk": "gradio"} if kind == "space" else {}
        api.create_repo(repo, repo_type=kind, private=private, exist_ok=True, **made)
        there = api.repo_info(repo, repo_type=kind)
        gone = [one.rfilename for one in there.siblings or [] if one.rfilename not in found]
        operations = [CommitOperationAdd(path, str(local)) for path, local in found.items()]
        operations += [CommitOperationDelete(path) for path in gone if path != ".gitattributes"]
        done = api.create_commit(
            repo, operations, commit_message=message, repo_type=kind, parent_commit=there.sha, num_threads=2
        )
        if tag:
            api.create_tag(repo, tag=tag, revision=done.oid, repo_type=kind, exist_ok=True)
    return done.oid


def collect(api: HfApi, owner: str, repos: list[str]) -> str:
    """Keep a collection of ``repos`` in the namespace ``owner``; its address."""
    with _told(owner):
        collection = api.create_collection(COLLECTION, namespace=owner, exists_ok=True)
        for repo in repos:
            api.add_collection_item(collection.slug, repo, item_type="model", exists_ok=True)
    return collection.url


@contextmanager
def _told(repo: str) -> Iterator[None]:
    """Errors of the Hub in one sentence; the token is in none of them."""
    try:
        yield
    except HFValidationError as error:
        raise ValueError(f"repo: expected OWNER/NAME, got {repo!r} ({error})") from None
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no answer"
        meaning = {
            401: "no valid token: run hf auth login",
            403: "the token may not write there",
            404: "no such repository, or the token may not see it",
            412: "somebody else has published meanwhile: run it again",
        }.get(status, "try again later")
        raise ValueError(f"repo: expected that the Hub takes {repo}, got {status} ({meaning})") from None
    except (httpx2.HTTPError, OSError) as error:
        raise ValueError(f"repo: expected a reachable Hub for {repo}, got {type(error).__name__}") from None


def _listed(found: dict[str, Path]) -> str:
    return "\n".join(f"{local.stat().st_size:>12,} {path}" for path, local in found.items())


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.publish", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", nargs="?", help="a bundled name or a folder")
    parser.add_argument("--repo", help="OWNER/NAME; with --all, OWNER")
    parser.add_argument("--all", action="store_true", help="every bundled checkpoint, and a collection of them")
    parser.add_argument("--space", metavar="OWNER/NAME", help="the app, with the checkpoint OWNER/NAME of --repo")
    parser.add_argument("--private", action="store_true", help="if the repository is new")
    parser.add_argument("--revision-tag", help="a tag for this revision, such as v1")
    parser.add_argument("--dry-run", action="store_true", help="list what would be published, and stop")
    options = parser.parse_args(arguments)
    try:
        _publish(options)
    except ValueError as error:
        parser.exit(2, f"{error}\n")


def _publish(options) -> None:
    if not options.repo:
        raise ValueError("repo: expected OWNER/NAME (with --all, OWNER), got nothing")
    if (options.repo.count("/") == 1) == options.all:
        raise ValueError(f"repo: expected {'OWNER' if options.all else 'OWNER/NAME'}, got {options.repo!r}")
    if (options.checkpoint is None) != (options.all or options.space is not None):
        raise ValueError("checkpoint: expected one of CHECKPOINT, --all and --space, got none or several")
    api = HfApi()
    if options.space is not None:
        with tempfile.TemporaryDirectory() as folder:
            _one(api, options.space, space_files(options.repo, Path(folder)), options, kind="space")
        return
    names = hub.bundled() if options.all else [options.checkpoint]
    repos = [f"{options.repo}/{name}" for name in names] if options.all else [options.repo]
    for name, repo in zip(names, repos, strict=True):
        _one(api, repo, files(hub.folder(name)), options)
    if options.all and not options.dry_run:
        print(collect(api, options.repo, repos))


def _one(api: HfApi, repo: str, found: dict[str, Path], options, kind: str = "model") -> None:
    print(f"{repo} ({kind}):\n{_listed(found)}")
    if options.dry_run:
        return
    oid = publish(api, repo, found, kind=kind, private=options.private, tag=options.revision_tag)
    print(f"{repo} is at revision {oid}")


if __name__ == "__main__":
    main()
