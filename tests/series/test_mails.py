# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/mails.py: the series as it is mailed, with its cover letter."""

from __future__ import annotations

from series.conftest import Bench


def letter(bench: Bench) -> str:
    """The cover letter as it is mailed."""
    return (bench.work / "series" / "0000-cover-letter.patch").read_text()


def test_there_is_a_cover_letter_and_a_numbered_mail_for_each_commit(bench: Bench) -> None:
    bench.prepare()
    assert [path.name for path in sorted((bench.work / "series").iterdir())] == [
        "0000-cover-letter.patch", "0001-memory-hook.patch", "0002-physmem-hook.patch"]
    assert "Subject: [PATCH 1/2] memory: hook" in (bench.work / "series" / "0001-memory-hook.patch").read_text()


def test_the_cover_letter_has_our_text_the_commits_and_the_diffstat(bench: Bench) -> None:
    bench.prepare()
    mailed = letter(bench)
    assert "Subject: [PATCH 0/2] Hooks for QEMU 10.0\n" in mailed
    assert "\nThe hooks are tried on 10.0.9, by 2 commits.\n" in mailed
    assert "A comment" not in mailed
    assert "  memory: hook\n  physmem: hook\n" in mailed
    assert " 3 files changed, 3 insertions(+), 1 deletion(-)\n" in mailed
    assert 'From: "tester@invalid" <tester@invalid>\n' in mailed


def test_a_placeholder_that_nobody_fills_in_is_refused(bench: Bench) -> None:
    bench.letter.write_text("Hooks\n\nTried on $machine.\n")
    said = bench.refuses("tree", "--checkout", bench.checkout)
    assert "cover-letter.txt has a placeholder that nobody fills in: 'machine'" in said and "$version" in said


def test_a_changed_letter_is_written_anew(bench: Bench) -> None:
    bench.prepare()
    bench.letter.write_text("Other hooks\n\nFor $$100.\n")
    bench.prepare()
    assert "[PATCH 0/2] Other hooks\n" in letter(bench) and "\nFor $100.\n" in letter(bench)


def test_a_series_without_a_letter_is_refused(bench: Bench) -> None:
    bench.letter.unlink()
    assert "write the series' cover letter there" in bench.refuses("tree", "--checkout", bench.checkout)
