"""Put checkpoints, or the app, on the Hugging Face Hub: ``python -m training.publish CHECKPOINT --repo OWNER/NAME``.

The token comes from where the Hub's client keeps it (``hf auth login``, or HF_TOKEN). Publishing again uploads only
what has changed.
"""

from __future__ import annotations

import argparse
import re
import shutil
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from synth import checkpoint, hub
from training.card import write_card

ROOT = Path(__file__).resolve().parent.parent
SPACE = (
    "app.py",
    "requirements.txt",
    "README.md",
    "synth/**/*.py",
    "synth/drawings/*.png",
    "synth/web/page.*",
    "docs/evidence/*.png",
)
"""What the app needs; the checkpoints come from the Hub."""
COLLECTION = "Robust classifiers for image synthesis"
MEANINGS = {
    401: "no valid token; run hf auth login",
    403: "the token may not write there",
    404: "no such repository, or the token may not see it",
    412: "somebody else committed meanwhile; run it again",
}


def checkpoint_files(folder: Path) -> dict[str, Path]:
    """What is published of the checkpoint in ``folder``, by path, its card written anew.

    A copy of what others will download is loaded first. ValueError if that fails, or if nothing was measured yet.
    """
    checkpoint.verify(folder)
    write_card(folder)
    paths = checkpoint.paths(folder)
    with tempfile.TemporaryDirectory() as copy:
        for name in checkpoint.paths(folder, checkpoint.DOWNLOADED):
            (Path(copy) / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(paths[name], Path(copy) / name)
        checkpoint.load(copy, name=f"the published part of {folder}")
        checkpoint.load_features(Path(copy))
    return paths


def space_files(name: str, folder: Path) -> dict[str, Path]:
    """What a Space needs, by path: the app, and a README that has it preload the checkpoint ``name`` (owner/name)."""
    readme = (ROOT / "README.md").read_text()
    front, rest = re.match(r"---\n(.*?)\n---\n(.*)", readme, re.DOTALL).groups()
    front += f"\nmodels:\n- {name}\npreload_from_hub:\n- {name}"
    text = f"---\n{front}\n---\n\n" + rest.split("\n![", 1)[0].strip() + "\n"
    (folder / "README.md").write_text(text)
    (folder / "hub.txt").write_text(name + "\n")
    paths = {path.relative_to(ROOT).as_posix(): path for pattern in SPACE for path in sorted(ROOT.glob(pattern))}
    return paths | {"README.md": folder / "README.md", "checkpoints/hub.txt": folder / "hub.txt"}


def publish(
    api: HfApi,
    repo: str,
    paths: dict[str, Path],
    *,
    kind: str = "model",
    private: bool = False,
    tag: str | None = None,
) -> str:
    """Make ``repo`` hold just ``paths`` in one commit on its newest one; the commit's hash, the old one if none is due.

    Content that is there already is not sent again. ValueError for what the Hub refuses.
    """
    with _plain_errors(repo):
        more = {"space_sdk": "gradio"} if kind == "space" else {}
        api.create_repo(repo, repo_type=kind, private=private, exist_ok=True, **more)
        newest = api.repo_info(repo, repo_type=kind)
        names = {sibling.rfilename for sibling in newest.siblings or []}
        operations = [CommitOperationAdd(name, str(path)) for name, path in paths.items()]
        operations += [CommitOperationDelete(name) for name in sorted(names - paths.keys() - {".gitattributes"})]
        commit = api.create_commit(
            repo, operations, commit_message="Publish", repo_type=kind, parent_commit=newest.sha, num_threads=2
        )
        if tag:
            api.create_tag(repo, tag=tag, revision=commit.oid, repo_type=kind, exist_ok=True)
    return commit.oid


def collect(api: HfApi, owner: str, repos: list[str]) -> str:
    """Keep a collection of ``repos`` in the namespace ``owner``; its address."""
    with _plain_errors(owner):
        collection = api.create_collection(COLLECTION, namespace=owner, exists_ok=True)
        for repo in repos:
            api.add_collection_item(collection.slug, repo, item_type="model", exists_ok=True)
    return collection.url


@contextmanager
def _plain_errors(repo: str) -> Iterator[None]:
    """Errors of the Hub in one sentence; the token is in none of them."""
    try:
        yield
    except HFValidationError as error:
        raise ValueError(f"repo: expected OWNER/NAME, got {repo!r} ({error})") from None
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no answer"
        meaning = MEANINGS.get(status, "try again later")
        raise ValueError(f"publishing {repo} failed ({status}): {meaning}") from None
    except (httpx2.HTTPError, OSError) as error:
        raise ValueError(f"publishing {repo} failed ({type(error).__name__}): the Hub cannot be reached") from None


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


def _publish(options: Namespace) -> None:
    if not options.repo:
        raise ValueError("repo: expected OWNER/NAME (with --all, OWNER), got nothing")
    if (options.repo.count("/") == 1) == options.all:
        raise ValueError(f"repo: expected {'OWNER' if options.all else 'OWNER/NAME'}, got {options.repo!r}")
    if (options.checkpoint is None) != (options.all or options.space is not None):
        raise ValueError("checkpoint: expected one of CHECKPOINT, --all and --space, got none or several")
    api = HfApi()
    if options.space is not None:
        with tempfile.TemporaryDirectory() as folder:
            _publish_one(api, options.space, space_files(options.repo, Path(folder)), options, kind="space")
        return
    names = hub.bundled() if options.all else [options.checkpoint]
    repos = [f"{options.repo}/{name}" for name in names] if options.all else [options.repo]
    for name, repo in zip(names, repos, strict=True):
        _publish_one(api, repo, checkpoint_files(hub.folder(name)), options)
    if options.all and not options.dry_run:
        print(collect(api, options.repo, repos))


def _publish_one(api: HfApi, repo: str, paths: dict[str, Path], options: Namespace, kind: str = "model") -> None:
    print(f"{repo} ({kind}):")
    for name, path in paths.items():
        print(f"{path.stat().st_size:>12,} {name}")
    if not options.dry_run:
        oid = publish(api, repo, paths, kind=kind, private=options.private, tag=options.revision_tag)
        print(f"{repo} is at revision {oid}")


if __name__ == "__main__":
    main()
