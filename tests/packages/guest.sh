#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest's init: copies data on each of its disks, then beats until it is told to end. All that it says starts with
# "guest:". Each disk is: HALF MiB of data, as much space for a copy, and blocks of 4096 bytes, one for each beat. The
# kernel's command line gives HALF.

/bin/busybox mkdir -p /proc /sys /dev
/bin/busybox --install -s /bin
PATH=/bin

say() {
    echo "guest: $*"
}

sum() {
    set -- $(sha256sum)
    echo "$1"
}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for word in $(cat /proc/cmdline); do
    case $word in
    HALF=*) HALF=${word#HALF=} ;;
    esac
done
for module in /modules/*; do
    insmod "$module" || say "failed: $module doesn't load"
done
say "nodes $(cat /sys/devices/system/node/online 2>/dev/null)"
[ -e /sys/class/tpm/tpm0 ] && say "tpm $(cat /sys/class/tpm/tpm0/tpm_version_major) $(cat /sys/class/tpm/tpm0/pcr-sha256/0)"
# The series' test device has no driver, and without firmware nobody but a driver enables a device's BARs.
for device in /sys/bus/pci/devices/*; do
    if [ "$(cat "$device/vendor" "$device/device")" = "0x1b36
0x00f0" ]; then
        echo 1 >"$device/enable"
    fi
done
if ip link set eth0 up 2>/dev/null; then
    ip address add 10.0.2.15/24 dev eth0
    ping -c 1 -W 60 10.0.2.2 >/dev/null && say "network answers"
fi
for disk in /dev/vd?; do
    dd if="$disk" of="$disk" bs=1M count="$HALF" seek="$HALF" iflag=direct oflag=direct conv=notrunc,fsync status=none ||
        say "failed: dd on $disk"
    say "copied $disk $(dd if="$disk" bs=1M skip="$HALF" count="$HALF" iflag=direct status=none | sum)"
done
# Memory whose content is known: it is compared at each beat.
mkdir /memory
mount -t tmpfs tmpfs /memory
head -c $((HALF * 2 * 1024 * 1024)) /dev/vda >/memory/data
beat=0
while :; do
    beat=$((beat + 1))
    printf '%-4096s' "beat $beat" |
        dd of=/dev/vda bs=4096 seek=$((HALF * 512 + beat)) iflag=fullblock conv=notrunc,fsync status=none ||
        say "failed: beat $beat"
    say "beat $beat $(sum </memory/data)"
    usleep 200000
done
