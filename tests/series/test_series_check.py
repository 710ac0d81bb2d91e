# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/series_check.py: what is wrong with a mail or a commit is named; nothing that went wrong passes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from series.conftest import Bench, git

# What stands for QEMU's build: two files are compiled, and the test fails where one of them says so.
CONFIGURE = r"""#!/bin/sh
tree=$(dirname "$0")
mkdir -p meson-info meson-logs pyvenv/bin
echo '[{"name": "qtest-aarch64/ram-device-test", "suite": [], "depends": []}]' >meson-info/intro-tests.json
echo '[]' >meson-info/intro-targets.json
cat >build.ninja <<END
rule cc
  command = gcc -c \$in -o \$out
rule nothing
  command = true
  generator = 1
build memory.o: cc $tree/system/memory.c
build physmem.o: cc $tree/system/physmem.c
build qemu-system-aarch64: phony memory.o physmem.o
build qemu-img: phony physmem.o
build build.ninja: nothing
END
cat >pyvenv/bin/meson <<END
#!/bin/sh
if grep -q wrong $tree/system/physmem.c; then echo "physmem is wrong"; exit 1; fi
echo '{"name": "ram-device-test", "result": "EXPECTEDFAIL"}' >meson-logs/testlog.json
END
chmod +x pyvenv/bin/meson
"""
CHECKPATCH = r"""my $text = join '', <>;
print "WARNING: ugly\n#7: FILE: system/physmem.c:1:\n" if $text =~ /ugly/;
my @new = $text =~ /\bnew (\S+) here/g;
print "WARNING: added, moved or deleted file(s):\n\n", (map "  $_\n", @new), "\nDoes MAINTAINERS need updating?\n\n"
    if @new;
print "total: 0 errors, 0 warnings, 9 lines checked\n";
"""
MORE_FILES = {
    "configure": CONFIGURE,
    "pythondeps.toml": "",
    "scripts/meson-buildoptions.sh": "",
    "scripts/checkpatch.pl": CHECKPATCH,
    "MAINTAINERS": "Things\nF: hw/*.c\nF: rust/thing/\n",
    "configs/devices/aarch64-softmmu/default.mak": "# CONFIG_SBSA_REF=n\n",
    "configs/devices/arm-softmmu/default.mak": "# CONFIG_TEST_DEVICES=n\n# CONFIG_DIGIC=n\n",
}


@pytest.fixture
def built(bench: Bench) -> Bench:
    """A bench whose QEMU can be built."""
    for name, text in MORE_FILES.items():
        (bench.qemu / name).parent.mkdir(parents=True, exist_ok=True)
        (bench.qemu / name).write_text(text)
    (bench.qemu / "configure").chmod(0o755)
    bench.source()
    bench.prepare()
    return bench


def mail(bench: Bench, number: int) -> Path:
    """One of the mails."""
    return sorted((bench.work / "series").iterdir())[number]


def change(file: Path, old: str, new: str) -> None:
    """Replace something in a file, which must be there."""
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def second_patch(bench: Bench, new: str) -> None:
    """Let the second commit say something else."""
    change(bench.patches / "0002-physmem-hook.patch", "+int physmem, hook;", f"+{new}")
    bench.prepare()
    bench.succeeds("export", "--checkout", bench.checkout)
    bench.prepare()


def check(bench: Bench, *words: str) -> list[str]:
    """What a check that succeeds says."""
    return bench.succeeds("series_check", "--checkout", bench.checkout, "--python", sys.executable,
                          *words).splitlines()


def refuse(bench: Bench) -> str:
    """What a check that fails says."""
    return bench.refuses("series_check", "--checkout", bench.checkout, "--python", sys.executable)


def test_each_commit_is_built_twice_and_tested(built: Bench) -> None:
    said = check(built)
    assert "-- 2 mails apply strictly to the pristine QEMU 10.0.9" in said
    lines = [line for line in said if line.startswith(("-- 1/2", "-- 2/2"))]
    assert [line.partition(": rust")[0] for line in lines] == ["-- 1/2 memory: hook", "-- 2/2 physmem: hook"]
    assert all("1 EXPECTEDFAIL; norust " in line for line in lines)
    assert said[-1].startswith("-- 2 commits x 2 builds, all good")


def test_only_the_virtual_machine_is_built(built: Bench) -> None:
    check(built)
    chosen = built.work / "series-check" / "tree" / "configs" / "devices" / "aarch64-softmmu" / "ram-device.mak"
    assert chosen.read_text() == "CONFIG_SBSA_REF=n\nCONFIG_DIGIC=n\n"


def test_a_commit_that_does_not_build_is_named_with_the_command_to_repeat(built: Bench) -> None:
    second_patch(built, "int physmem hook;")
    said = refuse(built)
    assert "commit 2 of 2" in said and "(physmem: hook), fails in the build rust: ninja failed" in said
    assert f"cd {built.work}/series-check/rust && ninja qemu-system-aarch64 qemu-img" in said
    assert "system/physmem.c:1:" in said  # the compiler's own words
    assert "make series-check FROM=2" in said


def test_a_commit_whose_test_fails_is_named(built: Bench) -> None:
    second_patch(built, "int wrong;")
    said = refuse(built)
    assert "commit 2 of 2" in said and "meson failed" in said and "physmem is wrong" in said


def test_a_series_of_which_no_test_is_known_in_the_end_is_refused(built: Bench) -> None:
    change(built.qemu / "configure", "qtest-aarch64/ram-device-test", "qtest-aarch64/other-test")
    built.source()
    built.prepare()
    said = refuse(built)
    assert "commit 2 of 2" in said and "fails in the build rust" in said and "knows none of the series' tests" in said


def test_a_check_can_go_on_where_it_stopped(built: Bench) -> None:
    second_patch(built, "int physmem hook;")
    refuse(built)
    git("reset", "--quiet", "--hard", "HEAD^", cwd=built.tree)
    built.commit("physmem: hook", {"system/physmem.c": "int physmem, hook;\n"})
    built.succeeds("export", "--checkout", built.checkout)
    built.prepare()
    said = check(built, "--from", "2")
    assert not [line for line in said if line.startswith("-- 1/2")]
    assert said[-1].startswith("-- 1 commits x 2 builds, all good")


@pytest.mark.parametrize("number", [0, 2])
def test_a_mail_with_a_sign_off_is_refused(built: Bench, number: int) -> None:
    signed = mail(built, number)
    change(signed, "\n---\n" if number else "\nThe hooks", "\nSigned-off-by: A <a@invalid>\n---\n"
           if number else "\nSigned-off-by: A <a@invalid>\nThe hooks")
    said = refuse(built)
    assert f"{signed}:" in said and "has a sign-off: Signed-off-by: A <a@invalid>" in said


def test_a_mail_that_applies_with_fuzz_only_is_refused(built: Bench) -> None:
    change(mail(built, 1), " int line2;", " int line2; /* was different */")
    assert "0001-memory-hook.patch doesn't apply strictly" in refuse(built)


def test_mails_that_make_another_tree_than_the_tested_one_are_refused(built: Bench) -> None:
    change(mail(built, 2), "+int physmem, hook;", "+int physmem, other;")
    assert "the mails' tree isn't the tested one: system/physmem.c differ" in refuse(built)


def test_what_checkpatch_complains_of_is_refused(built: Bench) -> None:
    second_patch(built, "int ugly;")
    said = refuse(built)
    assert "checkpatch.pl says of 0002-physmem-hook.patch:\n  system/physmem.c: ugly" in said


def test_new_files_that_maintainers_covers_are_answered(built: Bench) -> None:
    second_patch(built, "int a; /* new hw/new.c here, new rust/thing/src/new.rs here */")
    said = check(built)
    what = "added, moved or deleted file(s): in the end MAINTAINERS has them all"
    assert f"-- checkpatch.pl, answered: 0002-physmem-hook.patch: {what}" in said


def test_new_files_that_maintainers_does_not_cover_are_refused(built: Bench) -> None:
    second_patch(built, "int a; /* new hw/new.c here, new hw/misc/new.c here, new rust/new.rs here */")
    assert "added, moved or deleted file(s): hw/misc/new.c, rust/new.rs\n" in refuse(built)


def test_patches_that_an_export_would_write_differently_are_refused(built: Bench) -> None:
    change(built.patches / "0001-memory-hook.patch", "A reason.", "Another reason.")
    assert "differs from" in (said := refuse(built)) and "0001-memory-hook.patch" in said


def test_the_series_alone_is_refused(bench: Bench) -> None:
    bench.prepare()
    for path in (bench.work / "series").iterdir():
        path.unlink()
    assert "run `make series` first" in refuse(bench)
    assert git("status", "--porcelain", cwd=bench.tree) == ""
