# SPDX-License-Identifier: GPL-2.0-or-later
"""What the doctor says of QEMUs that are played: a sentence and a remedy for each thing that may be found."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor.asking import CONCERNED, FINE, Run, doctor
from doctor.played import GPU, Play, bar, listening, part

pytestmark = pytest.mark.quick

REASONS = {
    "x-no-mmap=on keeps it from being mapped, remove that": "without x-no-mmap=on",
    "it could not be mapped when the device was added": "vm.max_map_count",
    "it isn't mapped after an INTx interrupt, let the guest use MSI": "MSI-X",
    "the host's driver doesn't let it be mapped": "the vfio-user server",
}


def asked(play: Play, folder: Path, *arguments: str) -> Run:
    socket = folder / "qmp"
    with listening(socket, play.serve):
        run = doctor("--qmp", socket, *arguments)
    assert run.errors == ""
    return run


def is_concerned(play: Play, folder: Path, *texts: str) -> Run:
    """One thing is wrong, and what is said has these texts."""
    run = asked(play, folder)
    assert run.status == CONCERNED, run.printed
    assert run.printed.count("\nRemedy: ") == 1, run.printed
    for text in texts:
        assert text in run.printed
    return run


def is_fine(play: Play, folder: Path, *texts: str) -> None:
    run = asked(play, folder)
    assert run.status == FINE, run.printed
    for text in texts:
        assert text in run.printed


def test_without_a_passed_through_device_nobody_is_concerned(tmp_path: Path) -> None:
    is_fine(Play().with_disk(), tmp_path, "isn't concerned: no PCI device is passed through")


def test_without_an_emulated_device_that_does_dma_nobody_is_concerned(tmp_path: Path) -> None:
    play = Play().with_stock_gpu().add("/machine/peripheral/port", "pcie-root-port").with_disk("virtio-rng-pci")
    is_fine(play, tmp_path, "isn't concerned: gpu is passed through, but no emulated device does DMA of more")


def test_with_the_series_and_no_failure_all_is_well(tmp_path: Path) -> None:
    play = Play().with_gpu(bar(part(bytes_read=4096, bytes_written=512))).with_disk()
    is_fine(play, tmp_path, "All is well", "bytes-read 4096, bytes-written 512")


@pytest.mark.parametrize(
    ("counter", "sentence", "remedy"),
    [
        ("refusals", "was refused 3 times", "x-ram-device-buffer-size=SIZE, now 64 MiB"),
        ("faults", "Accesses to BAR 4 of gpu failed 3 times, as it was revoked", "reset the device"),
        ("memory_errors", "Accesses to BAR 4 of gpu failed 3 times by a memory error", "hardware"),
        ("read_only_writes", "Writes into BAR 4 of gpu were dropped 3 times", "guest's driver"),
    ],
)
def test_each_counter_of_failures_has_its_meaning_and_remedy(
    tmp_path: Path, counter: str, sentence: str, remedy: str
) -> None:
    play = Play().with_gpu(bar(part(**{counter: 1}), part(**{counter: 2}))).with_disk()
    play.objects["/machine"]["x-ram-device-buffer-size"] = ("size", 64 << 20)
    run = is_concerned(play, tmp_path, sentence, remedy)
    assert "All is well" not in run.printed


def test_requests_that_have_waited_are_told_and_are_no_failure(tmp_path: Path) -> None:
    is_fine(Play().with_gpu(bar(part(waits=7))), tmp_path, "All is well", "waited 7 times")


@pytest.mark.parametrize("why", REASONS)
def test_each_reason_for_which_memory_is_not_mapped_has_its_remedy(tmp_path: Path, why: str) -> None:
    said = f"BAR 4 of gpu, 1 GiB, isn't mapped ({why})"
    is_concerned(Play().with_gpu(bar(not_mapped=why)), tmp_path, said, REASONS[why])


def test_registers_that_the_host_does_not_let_be_mapped_are_no_failure(tmp_path: Path) -> None:
    why = "the host's driver doesn't let it be mapped"
    play = Play().with_gpu(bar(size=16384, not_mapped=why))
    is_fine(play, tmp_path, "All is well", f"BAR 4, 16 KiB: not mapped: {why}")


def test_a_bar_that_is_mapped_in_part_is_told_with_the_parts(tmp_path: Path) -> None:
    why = "it isn't mapped after an INTx interrupt, let the guest use MSI"
    is_concerned(Play().with_gpu(bar(part(), not_mapped=why)), tmp_path, "isn't all mapped", "1 GiB at 0x0 mapped")


def test_pointers_by_the_operators_choice_are_unprotected(tmp_path: Path) -> None:
    play = Play().with_gpu(bar(part(bounced=False)))
    is_concerned(play, tmp_path, "which nothing protects", "without x-ram-device-direct=on")


@pytest.mark.parametrize(("kind", "disk"), [
    ("vfio-pci", "virtio-blk-pci"), ("vfio-pci", "virtio-blk-pci-non-transitional"), ("vfio-pci", "virtio-vga"),
    ("vfio-pci-nohotplug", "virtio-scsi-device"), ("vfio-user-pci", "virtio-net-ccw"),
])  # fmt: skip
def test_stock_loses_virtio_devices_to_each_kind_of_passed_through_device(tmp_path: Path, kind: str, disk: str) -> None:
    play = Play(version=(11, 1, 3)).with_stock_gpu(kind).with_disk(disk)
    is_concerned(play, tmp_path, "virtio: bogus descriptor", "GH200", "QEMU that has this repository's series",
                 "BAR 4, 1 GiB: 512 MiB at 0x0 mapped", "BAR 4, 1 GiB: 524224 KiB at 0x20010000 mapped")  # fmt: skip


@pytest.mark.parametrize("package", ["RAM device series, version 2", "Debian 1:10.0.13+ds-0+deb13u1+ramdev2"])
def test_the_series_without_rust_is_stock(tmp_path: Path, package: str) -> None:
    play = Play(package=f" ({package})").with_stock_gpu().with_disk()
    is_concerned(play, tmp_path, "built without Rust", "series, and Rust")


def test_devices_that_do_dma_in_pieces_can_still_end_the_vm(tmp_path: Path) -> None:
    play = Play().with_stock_gpu().with_disk("nvme").add("/machine/unattached/device[3]", "ich9-ahci")
    run = is_concerned(play, tmp_path, "disk (nvme) and /machine/unattached/device[3] (ich9-ahci)", "SIGBUS")
    assert "bogus descriptor" not in run.printed


def test_upstreams_fix_gives_pointers_that_nothing_protects(tmp_path: Path) -> None:
    for version in ((11, 1, 50), (11, 2, 0), (12, 0, 0)):
        folder = tmp_path / str(version)
        folder.mkdir()
        run = is_concerned(Play(version=version).with_stock_gpu().with_disk(), folder, "O_DIRECT", "revoked")
        assert "bogus descriptor" not in run.printed


def test_a_raised_bounce_buffer_helps_virtio_blk_for_sizes_only(tmp_path: Path) -> None:
    play = Play().with_stock_gpu().with_disk(bounce_buffer=1 << 30, iommu=True)
    run = is_concerned(play, tmp_path, "raised for disk (1 GiB)", "SIGBUS")
    assert "will be lost" not in run.printed


def test_a_raised_bounce_buffer_of_the_whole_machine_has_no_effect(tmp_path: Path) -> None:
    run = asked(Play().with_stock_gpu().with_disk(bounce_buffer=1 << 30), tmp_path)
    assert run.status == CONCERNED
    assert "raised for disk without effect" in run.printed
    assert "Add iommu_platform=on,disable-legacy=on" in run.printed
    assert "disk (virtio-blk) will be lost" in run.printed


@pytest.mark.parametrize("iommu", [True, False])
def test_a_raised_bounce_buffer_does_not_help_virtio_scsi(tmp_path: Path, iommu: bool) -> None:
    run = asked(Play().with_stock_gpu().with_disk("virtio-scsi-pci", 1 << 30, iommu), tmp_path)
    assert run.status == CONCERNED
    assert "doesn't help virtio-scsi" in run.printed
    assert "disk (virtio-scsi) will be lost" in run.printed


def test_vhost_user_reaches_no_bar_even_with_the_series(tmp_path: Path) -> None:
    play = Play().with_gpu(bar(part())).with_disk("vhost-user-blk-pci")
    is_concerned(play, tmp_path, "disk (vhost-user-blk) can't reach any BAR")


def test_qemu_is_asked_what_it_has_and_nothing_else(tmp_path: Path) -> None:
    for play in (Play().with_gpu(bar(part())).with_disk(), Play().with_stock_gpu().with_disk()):
        folder = tmp_path / str(id(play))
        folder.mkdir()
        asked(play, folder)
        assert set(play.asked) == {"qmp_capabilities", "query-version", "qom-list", "qom-get"}


def test_a_device_that_is_unplugged_meanwhile_is_left_out(tmp_path: Path) -> None:
    play = Play().with_gpu(bar(part()))
    del play.objects[GPU]
    is_fine(play, tmp_path, "no PCI device is passed through")


def test_json_has_all_that_was_found_and_the_verdict(tmp_path: Path) -> None:
    run = asked(Play().with_gpu(bar(part(faults=2))).with_disk(), tmp_path, "--json")
    told = run.json()
    assert (run.status, told["status"], told["version"]) == (CONCERNED, CONCERNED, [10, 2, 2])
    assert told["package"] == "RAM device series, version 2"
    (gpu,) = told["passed_through"]
    assert (gpu["path"], gpu["has_series"]) == (GPU, True)
    assert gpu["bars"][0]["parts"][0]["counters"]["faults"] == 2
    assert [(device["kind"], device["bounce_buffer"]) for device in told["emulated"]] == [("virtio-blk", 4096)]
    (finding,) = told["findings"]
    assert finding["is_concerned"]
    assert "revoked" in finding["verdict"]
