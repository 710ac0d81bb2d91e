#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The guest's init. It makes system RAM of the BAR, then lets many processes read, write and read again files and the
# raw disk, and compares what they read with the checksums in /checksums. When the guest is ready it is told on the
# console what to do, so that it can be saved there, and continued on many machines:
#
#   BAR=1 or 0     whether there is a BAR to use
#   PROCESSES      how many processes there are; as many pieces of CHUNK MiB lie on the disk from SOURCE MiB on
#   TARGET         where, in MiB, the processes write to the raw disk
#   ROUNDS         how often each process does it all
#
# All that it says starts with "guest:", which sets it apart from the kernel's messages.

/bin/busybox mkdir -p /proc /sys /dev /disk /sbin
/bin/busybox --install -s /bin
PATH=/bin

say() {
    echo "guest: $*"
}

finish() {
    say "$*"
    sync
    umount /disk
    poweroff -f
}

# The sectors read, the sectors written and the requests in flight, since the disk is there.
disk_counts() {
    read -r _ _ sectors_read _ _ _ sectors_written _ in_flight _ </sys/block/vda/stat
    echo "$sectors_read $sectors_written $in_flight"
}

memory_mib() {
    read -r _ kib _ </proc/meminfo
    echo $((kib / 1024))
}

use_bar() {
    # A machine that was saved without the BAR's device hasn't seen it yet.
    echo 1 >/sys/bus/pci/rescan
    echo online_movable >/sys/devices/system/memory/auto_online_blocks
    before=$(memory_mib)
    insmod /ram_bar.ko || finish "failed: ram_bar.ko doesn't load"
    say "memory $before MiB and $(($(memory_mib) - before)) MiB in the BAR"
}

# A heartbeat shows that the guest lives, also when its disk doesn't.
beat() {
    while sleep 1; do
        say "beat $(disk_counts)"
    done
}

# The checksum of a piece. Starting a program takes seconds where the guest is emulated twice, so none is.
checksum_of() {
    number=0
    while read -r checksum && [ $number -lt "$1" ]; do
        number=$((number + 1))
    done </checksums
    echo "$checksum"
}

# compare WHAT PIECE: compare what comes in with a piece's checksum.
compare() {
    found=$(sha256sum)
    if [ "${found%% *}" = "$(checksum_of "$2")" ]; then
        say "same $1 piece $2"
    else
        say "different $1 piece $2"
    fi
}

drop_caches() {
    echo 1 >/proc/sys/vm/drop_caches
}

# work PROCESS: one process's part. Each round has another piece, so that what an earlier round left is noticed.
work() {
    round=0
    while [ $round -lt "$ROUNDS" ]; do
        piece=$((($1 + round) % PROCESSES))
        name="process $1 round $round"
        from=$((SOURCE + piece * CHUNK))
        to=$((TARGET + $1 * CHUNK))
        # The buffers of dd, where direct requests go, are ordinary memory of the process.
        dd if=/dev/vda iflag=direct bs=1M skip=$from count="$CHUNK" of="/disk/$1" conv=fsync status=none ||
            say "different $name: dd to the file failed"
        drop_caches
        compare "$name file" $piece <"/disk/$1"
        dd if="/disk/$1" bs=1M of=/dev/vda oflag=direct seek=$to conv=notrunc,fsync status=none ||
            say "different $name: dd to the raw disk failed"
        dd if=/dev/vda iflag=direct bs=1M skip=$to count="$CHUNK" status=none | compare "$name raw" $piece
        drop_caches
        dd if=/dev/vda bs=64k skip=$((from * 16)) count=$((CHUNK * 16)) status=none | compare "$name cached" $piece
        round=$((round + 1))
    done
}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in /modules/*; do
    insmod "$module" || finish "failed: $module doesn't load"
done
while say ready; do
    sleep 1
done &
read -r settings
kill $!
eval "$settings"
[ "$BAR" = 0 ] || use_bar
mount -t ext4 /dev/vda /disk || finish "failed: the disk doesn't mount"
set -- /sys/block/vda/mq/*
say "processors $(nproc), queues of the disk $#"
say "begin $(disk_counts)"
beat &
heart=$!
process=0
workers=
while [ $process -lt "$PROCESSES" ]; do
    work $process &
    workers="$workers $!"
    process=$((process + 1))
done
# shellcheck disable=SC2086  # a list of numbers
wait $workers
kill $heart
say "end $(disk_counts)"
finish "done"
