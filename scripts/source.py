# SPDX-License-Identifier: GPL-2.0-or-later
"""Get QEMU's source and import it as the tag ``base`` of the workplace's git repository.

Without --qemu-src it comes from Debian; otherwise from an unpacked release, a tarball or a git checkout of your own.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tomllib
from pathlib import Path

import debian_source
from crates import wraps
from workplace import REPOSITORY, Refused, Workplace, arguments, git, run, run_script, say, workplace

STAYS = "QEMU_SRC= stays in force until it is given again: an empty QEMU_SRC= gets Debian's source."


def main() -> None:
    """Make the tag ``base`` what the command line asks for; nothing is done when it is that already."""
    parser = arguments(__doc__)
    parser.add_argument("--qemu-src", default="", help="an unpacked release, a tarball or a git checkout")
    options = parser.parse_args()
    place = workplace(options)
    with place.locked():
        bring(place, options.qemu_src)


def bring(place: Workplace, given: str) -> None:
    """Import the source unless the stamp says that this very one is there."""
    facts = declared(place.base)
    suite, checked = facts["suite"], facts["checked"]
    source = Path(given).expanduser().resolve() if given else None
    fingerprint = identify(source) if source else f"Debian {suite}"
    stamp = place.root / "source.stamp"
    if stamp.is_file() and json.loads(stamp.read_text())["fingerprint"] == fingerprint:
        return
    unpacked = place.scratch("source")
    unpacked.mkdir(parents=True)
    if source:
        say(f"taking QEMU's source from {source}")
        unpack(source, unpacked)
    else:
        download = place.scratch("download")
        unpack(debian_source.download(place.base, suite, download), unpacked)
        shutil.rmtree(download)
    version = check_version(unpacked, place.base, given or f"Debian {suite}")
    if version != checked:
        say(f"this is QEMU {version}; the series was last checked on {checked}")
    say(f"importing QEMU {version}")
    commit = import_tree(place, unpacked, version)
    place.write(stamp, json.dumps({"fingerprint": fingerprint, "version": version, "base": commit}) + "\n")
    shutil.rmtree(unpacked)


def declared(base: str) -> dict[str, str]:
    """What scripts/bases.toml says of a base."""
    bases = tomllib.loads((REPOSITORY / "scripts" / "bases.toml").read_text())
    if base not in bases:
        raise Refused(f"asked for BASE={base}, but there are series only for {', '.join(bases)}")
    facts: dict[str, str] = bases[base]
    return facts


def identify(source: Path) -> str:
    """What tells this source from another one, found without reading it all."""
    if (source / ".git").exists():
        status = git("status", "--porcelain", "--untracked-files=no", "--ignore-submodules", cwd=source)
        if status:
            raise Refused(f"QEMU_SRC={source} has local changes:\n{status.rstrip()}\n"
                          "  Commit them there (or `git stash`), so that it is known what is built.")
        return f"{source} {git('rev-parse', 'HEAD', cwd=source).strip()}"
    if not source.exists():
        raise Refused(f"asked for QEMU_SRC={source}, but there is no such file or folder.\n  {STAYS}")
    seen = hashlib.sha256()
    for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
        if path.is_file() and path.relative_to(source).parts[:1] != ("build",):
            facts = path.stat()
            seen.update(f"{path} {facts.st_size} {facts.st_mtime_ns} {facts.st_mode}\n".encode())
    return f"{source} {seen.hexdigest()}"


def unpack(source: Path, into: Path) -> None:
    """Fill an empty folder with a source's files: all of a release, what is committed of a git checkout."""
    if source.is_file():
        run(["tar", "--no-same-owner", "--strip-components=1", "-xf", str(source), "-C", str(into)])
    elif (source / ".git").exists():
        archive = into.with_name(f"{into.name}.tar")
        git("archive", "--format=tar", f"--output={archive}", "HEAD", cwd=source)
        run(["tar", "--no-same-owner", "-xf", str(archive), "-C", str(into)])
        archive.unlink()
        for wrap in wraps(into):
            fetched = source / "subprojects" / wrap.directory
            if fetched.is_dir() and not wrap.unpacked.exists():
                shutil.copytree(fetched, wrap.unpacked, ignore=shutil.ignore_patterns(".git"))
    else:
        copy(["tar", "-C", str(source), "--exclude=./build", "-c", "."], into)


def copy(producer: list[str], into: Path) -> None:
    """Unpack the tar stream that a command writes."""
    with subprocess.Popen(producer, stdout=subprocess.PIPE) as stream:
        assert stream.stdout is not None
        run(["tar", "--no-same-owner", "-x", "-C", str(into)], stdin=stream.stdout.fileno())
    if stream.returncode:
        raise Refused(f"{' '.join(producer)} failed: exit status {stream.returncode}")


def check_version(unpacked: Path, base: str, source: str) -> str:
    """The source's version, if it belongs to the base; a micro number of 50 or more is QEMU's mark of a snapshot."""
    file = unpacked / "VERSION"
    version = file.read_text().strip() if file.is_file() else "no VERSION file"
    micro = version.removeprefix(f"{base}.")
    if micro == version or not micro.isdecimal() or int(micro) >= 50:
        raise Refused(f"asked for QEMU {base}.x, found {version} in {source}.\n"
                      f"  Give a release {base}.x by QEMU_SRC=PATH. {STAYS}")
    return version


def import_tree(place: Workplace, unpacked: Path, version: str) -> str:
    """Commit the files; the tag ``base`` moves last. The id depends on nothing but the files."""
    if not (place.repository / "HEAD").is_file():
        fresh = place.scratch("repository")
        git("init", "--quiet", "--bare", "--template=", "--initial-branch=unused", fresh)
        shutil.rmtree(place.repository, ignore_errors=True)
        fresh.rename(place.repository)
    at = {"GIT_DIR": place.repository, "GIT_WORK_TREE": unpacked, "GIT_INDEX_FILE": place.scratch("index")}
    git("add", "--all", "--force", ".", cwd=unpacked, **at)
    files = git("write-tree", **at).strip()
    at["GIT_INDEX_FILE"].unlink()
    commit = git("commit-tree", files, "-m", f"QEMU {version}", **at).strip()
    git("update-ref", "refs/tags/base", commit, **at)
    return commit


if __name__ == "__main__":
    run_script(main)
