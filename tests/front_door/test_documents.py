# SPDX-License-Identifier: GPL-2.0-or-later
"""What the documents name exists: files, headings and make targets; and their XML is well-formed."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from front_door.documents import LIBVIRT, Document, documents, known_targets

pytestmark = pytest.mark.quick

each_document = pytest.mark.parametrize("document", documents(), ids=str)
each_snippet = pytest.mark.parametrize("snippet", LIBVIRT.blocks("xml"), ids=lambda text: f"{len(text)} bytes")


@each_document
def test_links_lead_to_files_and_headings(document: Document) -> None:
    for link in document.links():
        name, _, anchor = link.partition("#")
        target = (document.path.parent / name).resolve() if name else document.path
        assert target.exists(), link
        assert not anchor or anchor in Document(target).anchors(), link


@each_document
def test_make_has_the_targets_that_are_named(document: Document) -> None:
    unknown = document.make_targets() - known_targets()
    assert not unknown, unknown


def test_commands_and_links_are_found_in_text_in_blocks_and_indented(tmp_path: Path) -> None:
    written = Document(tmp_path / "written.md")
    written.path.write_text(
        "# A `title`, of it\n\n    FOO=1 make a  # make no\n    git pull && make b X=y c\n\n"
        "Say `make\nd` here, or [go](there.md#a).\n\n```\nmake e\n# no title [no](link)\n```\n"
    )
    assert written.make_targets() == {"b", "c", "d", "e"}
    assert written.links() == ["there.md#a"]
    assert written.anchors() == {"a-title-of-it"}


@each_snippet
def test_xml_is_well_formed_and_declares_what_libvirt_would_drop(snippet: str) -> None:
    root = ElementTree.fromstring(snippet)
    assert root.tag in ("domain", "devices")
