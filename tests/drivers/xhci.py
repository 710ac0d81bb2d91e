# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's xHCI driver, spoken through qtest: one device on a root port, its control and bulk endpoints.

One transfer is in flight at a time; all structures but the data lie in ordinary RAM. Names and numbers are
those of the xHCI specification 1.1, and of USB 3.1 for the requests to the device.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import partial

from drivers import pci
from drivers.pages import PAGE, Pages
from drivers.request import ANSWER_SECONDS, RequestFailed, Segment, wait_until
from machines.qtest_client import EmulatorError

# Capability registers, and those that they tell the places of.
CAPLENGTH, HCSPARAMS1, DBOFF, RTSOFF = 0x00, 0x04, 0x14, 0x18
USBCMD, CRCR, DCBAAP, CONFIG, PORTS = 0x00, 0x18, 0x30, 0x38, 0x400
ERSTSZ, ERSTBA, ERDP = 0x28, 0x30, 0x38
RUN, RESET = 1, 2
PORT_CONNECTED, PORT_RESET, PORT_POWER = 1 << 0, 1 << 4, 1 << 9

NORMAL, SETUP, STATUS, LINK = 1, 2, 4, 6
ENABLE_SLOT, ADDRESS_DEVICE, CONFIGURE_ENDPOINT = 9, 11, 12
TRANSFER_EVENT, COMMAND_EVENT = 32, 33
CYCLE, TOGGLE, CHAIN, INTERRUPT, IMMEDIATE, FROM_DEVICE = 1, 1 << 1, 1 << 4, 1 << 5, 1 << 6, 1 << 16
SUCCESS, SHORT_PACKET = 1, 13

TRB_SIZE, CONTEXT_SIZE = 16, 32
RING_TRBS = PAGE // TRB_SIZE
# A TRB's data must not cross a multiple of this.
TRB_BOUNDARY = 1 << 16

CONTROL = 1  # the number of endpoint 0's context
ENDPOINT_CONTROL, ENDPOINT_BULK_OUT, ENDPOINT_BULK_IN = 4, 2, 6
THREE_ERRORS = 3 << 1
CONTROL_PACKET, BULK_PACKET = 512, 1024
SET_CONFIGURATION = 9


class _Ring:
    """A ring of TRBs that the driver produces, in one page; its last TRB links to the first."""

    def __init__(self, xhci: Xhci, pages: Pages) -> None:
        self._xhci = xhci
        self.page = pages.take()
        self._next = 0
        self._cycle = CYCLE

    def add(self, parameter: int, status: int, control: int) -> None:
        self._put(parameter, status, control)
        if self._next == RING_TRBS - 1:
            self._put(self.page, 0, LINK << 10 | TOGGLE | control & CHAIN)
            self._next, self._cycle = 0, self._cycle ^ CYCLE

    def _put(self, parameter: int, status: int, control: int) -> None:
        trb = struct.pack("<QII", parameter, status, control | self._cycle)
        self._xhci.qtest.write(self.page + TRB_SIZE * self._next, trb)
        self._next += 1


class Xhci:
    """The controller in one slot, with the first device that is found on its ports configured."""

    def __init__(self, function: pci.Function, window: pci.Window, pages: Pages) -> None:
        self.qtest = function.qtest
        self._base = window.place(function, 0).address
        self._operational = self._base + self.qtest.read8(self._base + CAPLENGTH)
        self._doorbells = self._base + self.qtest.read32(self._base + DBOFF)
        runtime = self._base + self.qtest.read32(self._base + RTSOFF)
        self._event_pointer = runtime + ERDP
        self._pages = pages
        self._contexts, self._input = pages.take(), pages.take()
        self._commands = _Ring(self, pages)
        self._events, self._event, self._event_cycle = pages.take(), 0, CYCLE
        self._start(runtime)
        self._slot = 0
        self._rings: dict[int, _Ring] = {}
        self._set_up_device(*self._reset_port())

    def transfer(self, endpoint: int, data: Sequence[Segment], timeout: float = ANSWER_SECONDS) -> None:
        """Move the data over a bulk endpoint, in the direction that it has."""
        trbs = [piece for segment in data for piece in _cut(segment)]
        for piece in trbs:
            flags = INTERRUPT if piece is trbs[-1] else CHAIN
            self._rings[endpoint].add(piece.address, piece.size, NORMAL << 10 | flags)
        self._ring_and_wait(self._slot, endpoint, TRANSFER_EVENT, timeout)

    def open_bulk(self, endpoints: dict[int, int]) -> None:
        """Configure the bulk endpoints; their context numbers, and whether they are in or out by their types."""
        contexts = {}
        for number, kind in endpoints.items():
            self._rings[number] = _Ring(self, self._pages)
            contexts[number] = _endpoint(kind, BULK_PACKET, self._rings[number])
        self._give_contexts(contexts)
        self._command(self._input, 0, CONFIGURE_ENDPOINT << 10 | self._slot << 24)

    def _start(self, runtime: int) -> None:
        """Reset the controller, tell it its rings, and let it run."""
        self._set(USBCMD, RESET)
        wait_until(lambda: not self._get(USBCMD) & RESET, "the xHCI controller's reset", ANSWER_SECONDS)
        slots = self.qtest.read32(self._base + HCSPARAMS1) & 0xFF
        self._set(CONFIG, slots)
        self._set64(self._operational + DCBAAP, self._contexts)
        self._set64(self._operational + CRCR, self._commands.page | CYCLE)
        table = self._pages.take()
        self.qtest.write(table, struct.pack("<QII", self._events, RING_TRBS, 0))
        self.qtest.write32(runtime + ERSTSZ, 1)
        self._set64(runtime + ERDP, self._events)
        self._set64(runtime + ERSTBA, table)
        self._set(USBCMD, RUN)

    def _reset_port(self) -> tuple[int, int]:
        """The number and the speed of the first port that has a device."""
        for port in range(1, (self.qtest.read32(self._base + HCSPARAMS1) >> 24) + 1):
            register = PORTS + 0x10 * (port - 1)
            if self._get(register) & PORT_CONNECTED:
                self._set(register, PORT_POWER | PORT_RESET)
                wait_until(partial(self._is_reset, register), "the USB port's reset", ANSWER_SECONDS)
                return port, self._get(register) >> 10 & 0xF
        raise EmulatorError("no port of the xHCI controller has a device")

    def _is_reset(self, register: int) -> bool:
        return not self._get(register) & PORT_RESET

    def _set_up_device(self, port: int, speed: int) -> None:
        """Give the device a slot and an address, and put it into its first configuration."""
        self._slot = self._command(0, 0, ENABLE_SLOT << 10) >> 24
        self.qtest.write(self._contexts + 8 * self._slot, struct.pack("<Q", self._pages.take()))
        self._slot_context = struct.pack("<II", speed << 20, port << 16)
        self._rings[CONTROL] = _Ring(self, self._pages)
        self._give_contexts({CONTROL: _endpoint(ENDPOINT_CONTROL, CONTROL_PACKET, self._rings[CONTROL])})
        self._command(self._input, 0, ADDRESS_DEVICE << 10 | self._slot << 24)
        (request,) = struct.unpack("<Q", struct.pack("<BBHHH", 0, SET_CONFIGURATION, 1, 0, 0))
        self._rings[CONTROL].add(request, 8, SETUP << 10 | IMMEDIATE)
        self._rings[CONTROL].add(0, 0, STATUS << 10 | FROM_DEVICE | INTERRUPT)
        self._ring_and_wait(self._slot, CONTROL, TRANSFER_EVENT, ANSWER_SECONDS)

    def _give_contexts(self, endpoints: dict[int, bytes]) -> None:
        """Fill the input context: what to add, the slot's context, and those of the endpoints."""
        contexts = bytearray(PAGE)
        added = 1 | sum(1 << number for number in endpoints)
        struct.pack_into("<II", contexts, 0, 0, added)
        (first,) = struct.unpack_from("<I", self._slot_context)
        struct.pack_into("<I", contexts, CONTEXT_SIZE, first | max(endpoints) << 27)
        contexts[CONTEXT_SIZE + 4 : CONTEXT_SIZE + len(self._slot_context)] = self._slot_context[4:]
        for number, context in endpoints.items():
            begin = CONTEXT_SIZE * (number + 1)
            contexts[begin : begin + len(context)] = context
        self.qtest.write(self._input, bytes(contexts))

    def _command(self, parameter: int, status: int, control: int) -> int:
        """Carry out one command; the last word of its event."""
        self._commands.add(parameter, status, control)
        return self._ring_and_wait(0, 0, COMMAND_EVENT, ANSWER_SECONDS)

    def _has_event(self, at: int) -> bool:
        return self.qtest.read(at + 12, 1)[0] & CYCLE == self._event_cycle

    def _ring_and_wait(self, slot: int, endpoint: int, kind: int, timeout: float) -> int:
        """Ring the doorbell and wait for the event of this kind, beside which there are only changes of ports."""
        self.qtest.write32(self._doorbells + 4 * slot, endpoint)
        while True:
            at = self._events + TRB_SIZE * self._event
            wait_until(
                partial(self._has_event, at), f"endpoint {endpoint} of slot {slot} of the xHCI controller", timeout
            )
            _, status, control = struct.unpack("<QII", self.qtest.read(at, TRB_SIZE))
            self._event += 1
            if self._event == RING_TRBS:
                self._event, self._event_cycle = 0, self._event_cycle ^ CYCLE
            self._set64(self._event_pointer, self._events + TRB_SIZE * self._event)
            if control >> 10 & 0x3F == kind:
                if status >> 24 not in (SUCCESS, SHORT_PACKET):
                    raise RequestFailed(f"the xHCI controller completed with code {status >> 24}")
                return int(control)

    def _get(self, register: int) -> int:
        return self.qtest.read32(self._operational + register)

    def _set(self, register: int, value: int) -> None:
        self.qtest.write32(self._operational + register, value)

    def _set64(self, address: int, value: int) -> None:
        self.qtest.write32(address, value & 0xFFFF_FFFF)
        self.qtest.write32(address + 4, value >> 32)


def _endpoint(kind: int, packet: int, ring: _Ring) -> bytes:
    """An endpoint's context."""
    return struct.pack("<IIQI", 0, packet << 16 | kind << 3 | THREE_ERRORS, ring.page | CYCLE, packet)


def _cut(segment: Segment) -> list[Segment]:
    """The segment in pieces that single TRBs can describe."""
    pieces, address, end = [], segment.address, segment.address + segment.size
    while address < end:
        size = min(end, (address // TRB_BOUNDARY + 1) * TRB_BOUNDARY) - address
        pieces.append(Segment(address, size))
        address += size
    return pieces
