"""Put checkpoints, or the app, on the Hugging Face Hub: ``python -m training.publish CHECKPOINT --repo OWNER/NAME``.

The token comes from where the Hub's client keeps it (``hf auth login``, or HF_TOKEN). Publishing again uploads only
what has changed.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, RepoCard
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from synth import checkpoint, hub
from training import browser, space
from training.card import card

COLLECTION = "Robust classifiers for image synthesis"
MEANINGS = {
    401: "no valid token; run hf auth login",
    402: "the Hub asks for a paid account here",
    403: "the token may not write there",
    404: "no such repository, or the token may not see it",
    412: "somebody else committed meanwhile; run it again",
}


def checkpoint_files(folder: Path, copy: Path, **links: str) -> dict[str, Path]:
    """What is published of the checkpoint in ``folder``, by path, its card written anew.

    What others will download is copied into ``copy``, with the card, and loaded from there first. links: as of
    ``training.card.card``. ValueError if it does not load, or if nothing was measured yet.
    """
    checkpoint.verify(folder)
    paths = checkpoint.paths(folder)
    for name in checkpoint.paths(folder, checkpoint.DOWNLOADED):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(paths[name], copy / name)
    checkpoint.load(copy, name=f"the published part of {folder}")
    checkpoint.load_features(copy)
    (copy / checkpoint.CARD).write_text(card(folder, **links))
    return paths | {checkpoint.CARD: copy / checkpoint.CARD}


def publish(
    api: HfApi,
    repo: str,
    paths: dict[str, Path],
    *,
    hardware: str | None = None,
    static: bool = False,
    private: bool = False,
    tag: str | None = None,
) -> str:
    """Make ``repo`` hold just ``paths`` in one commit on its newest one; the commit's hash, the old one if none is due.

    With ``hardware`` it is a Space on that, with ``static`` one that only serves the files, otherwise a model. Content
    that is there already is not sent again. ValueError for what the Hub refuses; nothing is sent then.
    """
    kind = "space" if hardware or static else "model"
    with _plain_errors(repo, hardware):
        if checkpoint.CARD in paths:
            _check_metadata(paths[checkpoint.CARD], kind)
        more = {"space_sdk": "gradio", "space_hardware": hardware} if hardware else {}
        more = {"space_sdk": "static"} if static else more
        api.create_repo(repo, repo_type=kind, private=private, exist_ok=True, **more)
        if hardware and api.get_space_runtime(repo).requested_hardware != hardware:
            api.request_space_hardware(repo, hardware)
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


def _check_metadata(path: Path, kind: str) -> None:
    """ValueError unless the Hub takes the metadata of the card at ``path``."""
    text = path.read_text()
    if not text.startswith("---\n"):
        raise ValueError(f"{path.name}: expected metadata between two lines of ---, got none")
    try:
        RepoCard(text).validate(kind)
    except (HfHubHTTPError, httpx2.HTTPError):
        raise
    except Exception as error:  # the YAML parser has types of its own
        raise ValueError(f"{path.name}: expected metadata that the Hub takes, got {_line(error)}") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def collect(api: HfApi, owner: str, repos: list[str]) -> str:
    """Keep a collection of ``repos`` in the namespace ``owner``; its address."""
    with _plain_errors(owner):
        collection = api.create_collection(COLLECTION, namespace=owner, exists_ok=True)
        for repo in repos:
            api.add_collection_item(collection.slug, repo, item_type="model", exists_ok=True)
    return collection.url


@contextmanager
def _plain_errors(repo: str, hardware: str | None = None) -> Iterator[None]:
    """Errors of the Hub in one sentence; the token is in none of them."""
    try:
        yield
    except HFValidationError as error:
        raise ValueError(f"repo: expected OWNER/NAME, got {repo!r} ({error})") from None
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no answer"
        meaning = MEANINGS.get(status) or (f"the Hub says {_line(error)}" if status == 400 else "try again later")
        if status == 402 and hardware:
            other = "" if hardware == space.ZERO else f"choose --hardware {space.ZERO}, or "
            meaning = f"the Hub wants a paid account for an app on {hardware}; {other}publish from an account that pays"
        raise ValueError(f"publishing {repo} failed ({status}): {meaning}") from None
    except (httpx2.HTTPError, OSError) as error:
        raise ValueError(f"publishing {repo} failed ({type(error).__name__}): the Hub cannot be reached") from None


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.publish", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", nargs="?", help="a bundled name or a folder")
    parser.add_argument("--repo", help="OWNER/NAME; with --all, OWNER")
    parser.add_argument("--all", action="store_true", help="every bundled checkpoint, and a collection of them")
    parser.add_argument("--space", metavar="OWNER/NAME", help="the app, with the checkpoint OWNER/NAME of --repo")
    parser.add_argument("--static-space", metavar="OWNER/NAME", help="the page that needs no server, with CHECKPOINT")
    parser.add_argument("--hardware", help=f"of the Space: {', '.join(space.HARDWARE)} (default: {space.ZERO})")
    parser.add_argument("--code", metavar="URL", default="", help="where the code is, for the card")
    parser.add_argument("--app", metavar="OWNER/NAME", default="", help="the Space that runs it, for the card")
    parser.add_argument("--private", action="store_true", help="if the repository is new")
    parser.add_argument("--revision-tag", help="a tag for this revision, such as v1")
    parser.add_argument("--dry-run", action="store_true", help="list what would be published, and stop")
    options = parser.parse_args(arguments)
    try:
        _publish(options)
    except ValueError as error:
        parser.exit(2, f"{error}\n")


def _publish(options: Namespace) -> None:
    if options.static_space is not None:
        _publish_page(options)
        return
    if not options.repo:
        raise ValueError("repo: expected OWNER/NAME (with --all, OWNER), got nothing")
    if (options.repo.count("/") == 1) == options.all:
        raise ValueError(f"repo: expected {'OWNER' if options.all else 'OWNER/NAME'}, got {options.repo!r}")
    if (options.checkpoint is None) != (options.all or options.space is not None):
        raise ValueError("checkpoint: expected one of CHECKPOINT, --all and --space, got none or several")
    if options.hardware is not None and options.space is None:
        raise ValueError(f"hardware: expected a Space to run on it (--space), got {options.hardware!r} without one")
    api = HfApi()
    with tempfile.TemporaryDirectory() as folder:
        if options.space is not None:
            _publish_space(api, Path(folder), options)
        else:
            _publish_checkpoints(api, Path(folder), options)


def _publish_space(api: HfApi, folder: Path, options: Namespace) -> None:
    if options.space.count("/") != 1:
        raise ValueError(f"space: expected OWNER/NAME, got {options.space!r}")
    hardware = options.hardware or space.ZERO
    paths = space.files(options.space, options.repo, hardware, folder=folder, endpoint=api.endpoint)
    _publish_one(api, options.space, paths, options, hardware=hardware)


def _publish_page(options: Namespace) -> None:
    if options.static_space.count("/") != 1:
        raise ValueError(f"static-space: expected OWNER/NAME, got {options.static_space!r}")
    if options.repo or options.all or options.space or options.hardware:
        raise ValueError("static-space: expected no --repo, --all, --space or --hardware beside it, got one")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder)
        browser.make(page, [options.checkpoint] if options.checkpoint else browser.CHECKPOINTS)
        paths = {path.relative_to(page).as_posix(): path for path in sorted(page.glob("**/*")) if path.is_file()}
        _publish_one(HfApi(), options.static_space, paths, options, static=True)


def _publish_checkpoints(api: HfApi, folder: Path, options: Namespace) -> None:
    """One or all; all are checked before the first is sent."""
    owner = options.repo.partition("/")[0]
    names = hub.bundled() if options.all else [options.checkpoint]
    sets = {}
    for name in names:
        repo = f"{owner}/{name}" if options.all else options.repo
        links = {"repo": repo, "code": options.code, "app": options.app}
        sets[repo] = checkpoint_files(hub.folder(name), folder / str(len(sets)), **links)
    for repo, paths in sets.items():
        _publish_one(api, repo, paths, options)
    if options.all and not options.dry_run:
        print(collect(api, owner, list(sets)))


def _publish_one(
    api: HfApi,
    repo: str,
    paths: dict[str, Path],
    options: Namespace,
    *,
    hardware: str | None = None,
    static: bool = False,
) -> None:
    kind = f"Space on {hardware}" if hardware else "static Space" if static else "model"
    print(f"{repo} ({kind}):")
    for name, path in paths.items():
        print(f"{path.stat().st_size:>12,} {name}")
    if not options.dry_run:
        more = {"hardware": hardware, "static": static, "private": options.private, "tag": options.revision_tag}
        oid = publish(api, repo, paths, **more)
        print(f"{repo} is at revision {oid}")


if __name__ == "__main__":
    main()
