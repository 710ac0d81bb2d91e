# SPDX-License-Identifier: GPL-2.0-or-later
"""The documents, as far as a machine can read them: links, headings, commands, snippets of XML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^(?P<indent> *)```(?P<kind>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"\]\((?P<target>[^()\s]+)\)")
HEADING = re.compile(r"^#+ (?P<title>.+)$", re.MULTILINE)
# An indented line is a block of code, unless it goes on with the text of a list.
INDENTED = re.compile(r"^ {4,}(?:- )?(?P<line>.*)$", re.MULTILINE)
WORD = re.compile(r"[a-z][a-z0-9-]*$")


@dataclass(frozen=True)
class Document:
    """One of the repository's Markdown files."""

    path: Path

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def prose(self) -> str:
        """The text without its blocks of code."""
        return BLOCK.sub("", self.text)

    def blocks(self, kind: str) -> list[str]:
        """What is fenced as that kind of code."""
        return [block["text"] for block in BLOCK.finditer(self.text) if block["kind"] == kind]

    def anchors(self) -> set[str]:
        """What links may name behind a #, as web sites make it of the headings."""
        titles = [re.sub(r"[^\w\- ]", "", heading["title"].lower()) for heading in HEADING.finditer(self.prose)]
        return {title.replace(" ", "-") for title in titles}

    def links(self) -> list[str]:
        """Where its links lead, but for other web sites."""
        return [link["target"] for link in LINK.finditer(CODE.sub("", self.prose)) if "://" not in link["target"]]

    def make_targets(self) -> set[str]:
        """The targets that it says `make` with."""
        return {word for line in self._code() for word in _targets(line)}

    def _code(self) -> Iterator[str]:
        for block in BLOCK.finditer(self.text):
            yield from block["text"].splitlines()
        for line in INDENTED.finditer(self.prose):
            yield line["line"]
        # Text goes on in the next line, code too.
        for code in CODE.finditer(self.prose.replace("\n", " ")):
            yield code[0].strip("`")


def _targets(line: str) -> Iterator[str]:
    """Those of each `make` command in a line of code."""
    command = line.partition("#")[0]
    for part in re.split(r"&&|;|\|", command):
        words = part.replace("$ ", "", 1).split()
        if words[:1] == ["make"]:
            yield from (word for word in words[1:] if WORD.match(word))


def documents() -> list[Document]:
    """All that are for readers of this repository."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("rust/*/README.md")]
    return [Document(path) for path in sorted(found)]


def known_targets() -> set[str]:
    """The Makefile's."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return {name for line in re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE) for name in line.split()}


LIBVIRT = Document(ROOT / "docs" / "libvirt.md")
