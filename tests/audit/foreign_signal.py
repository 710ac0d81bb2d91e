# SPDX-License-Identifier: GPL-2.0-or-later
"""A script for gdb: a SIGBUS reaches the emulator's main thread just before an access of rust/ram-device.

    FOREIGN_SIGNAL=AO gdb --batch -x foreign_signal.py --args qemu-system-aarch64 -M virt -accel qtest -S ...

The signal is no fault of the access: AO is a memory error that asks for no action yet (BUS_MCEERR_AO), KILL was sent
by somebody. Prints "copied ..." with what ram_device_read() has given, if it comes to that, and how the emulator ended.
"""

import os
import signal

import gdb

BUS_MCEERR_AO = 5
LENGTH = 16
PATTERN = 0x5A


def accesses() -> list[int]:
    """The addresses of all instructions in the table of those that may fault."""
    start, stop = (int(gdb.parse_and_eval(f"(unsigned long)&__{end}_ram_device_faults")) for end in ("start", "stop"))
    return [entry + int(gdb.parse_and_eval(f"*(int *){entry}")) for entry in range(start, stop, 8)]


def pending(code: int) -> None:
    """Send SIGBUS to the stopped thread and run until it is about to arrive, with another si_code if that isn't 0."""
    os.kill(gdb.selected_inferior().pid, signal.SIGBUS)
    gdb.execute("handle SIGBUS stop print pass", to_string=True)
    gdb.execute("stepi", to_string=True)
    assert str(gdb.parse_and_eval("$_siginfo.si_signo")) == str(int(signal.SIGBUS))
    if code:
        gdb.execute(f"set $_siginfo.si_code = {code}")
    gdb.execute("handle SIGBUS nostop noprint pass", to_string=True)


gdb.execute("set confirm off")
gdb.execute("set pagination off")
gdb.execute("set language c")
gdb.execute("set breakpoint pending on")
gdb.execute("handle SIGUSR1 SIGUSR2 SIGPIPE nostop noprint pass")
gdb.execute("tbreak main_loop_wait")
gdb.execute("run")
gdb.execute("set scheduler-locking on")
gdb.execute("set $device = (unsigned char *)g_malloc0(4096)")
gdb.execute("set $ram = (unsigned char *)g_malloc0(4096)")
gdb.execute(f"call (void *)memset($device, {PATTERN}, {LENGTH})")
gdb.execute("set $rd = (RamDevice *)g_malloc0(sizeof(RamDevice))")
gdb.execute("set $rd->host = $device")
gdb.execute("set $rd->size = 4096")
gdb.execute("call (void)ram_device_expect_faults()")
breakpoints = [gdb.Breakpoint(f"*{address}") for address in accesses()]
try:
    gdb.execute(f"call (bool)ram_device_read($rd, 0, $ram, {LENGTH})", to_string=True)
    raise SystemExit("no instruction of the table was executed")
except gdb.error:
    pass  # gdb says that the call was interrupted by a breakpoint
for stop in breakpoints:
    stop.delete()
address = int(gdb.parse_and_eval("(unsigned long)$pc"))
pending(BUS_MCEERR_AO if os.environ["FOREIGN_SIGNAL"] == "AO" else 0)
assert int(gdb.parse_and_eval("(unsigned long)$pc")) == address
gdb.execute("set scheduler-locking off")  # with it gdb sometimes loses the end of a process that has several threads
try:
    gdb.execute("continue", to_string=True)
    copied = bytes(gdb.selected_inferior().read_memory(int(gdb.parse_and_eval("(unsigned long)$ram")), LENGTH))
    print("copied", copied.hex())
    if copied == bytes([PATTERN] * LENGTH):
        gdb.execute("continue", to_string=True)
except gdb.error:
    pass  # the emulator has ended
print("ended by", gdb.parse_and_eval("$_exitsignal"))
