# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients of what an emulator serves: they say their passwords, and take note of the answer."""

from __future__ import annotations

import socket
import struct
import subprocess
import tempfile
from pathlib import Path

from machines.error import MachineError

HOST, TIMEOUT = "127.0.0.1", 60.0
VNC_PASSWORD_AUTHENTICATION = 2
SPICE_MAGIC, SPICE_MAIN_CHANNEL, SPICE_KEY_SIZE = b"REDQ", 1, 162
USB_REDIRECTION_HELLO = 0


def lets_in_by_vnc(port: int, password: str) -> bool:
    """Whether that password opens the display."""
    with socket.create_connection((HOST, port), TIMEOUT) as server:
        version = _exactly(server, 12)
        if version != b"RFB 003.008\n":
            raise MachineError(f"VNC begins with {version!r}")
        server.sendall(version)
        offered = _exactly(server, _exactly(server, 1)[0])
        if offered != bytes([VNC_PASSWORD_AUTHENTICATION]):
            raise MachineError(f"VNC offers authentication {offered!r}, not by password")
        server.sendall(offered)
        challenge = _exactly(server, 16)
        # VNC has the bits of a key's bytes in reverse; the same key three times makes triple DES plain DES.
        key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in password.encode()[:8].ljust(8, b"\0"))
        answer = _openssl(["enc", "-des-ede3", "-K", (key * 3).hex(), "-nopad"], challenge)
        server.sendall(answer)
        (status,) = struct.unpack(">I", _exactly(server, 4))
        return bool(status == 0)


def lets_in_by_spice(port: int, password: str) -> bool:
    """Whether that password opens the main channel."""
    with socket.create_connection((HOST, port), TIMEOUT) as server:
        message = struct.pack("<IBBIII", 0, SPICE_MAIN_CHANNEL, 0, 0, 0, 18)
        server.sendall(SPICE_MAGIC + struct.pack("<III", 2, 2, len(message)) + message)
        magic, _, _, size = struct.unpack("<4sIII", _exactly(server, 16))
        if magic != SPICE_MAGIC:
            raise MachineError(f"SPICE begins with {magic!r}")
        reply = _exactly(server, size)
        (error,) = struct.unpack_from("<I", reply)
        if error:
            raise MachineError(f"SPICE refuses the connection: error {error}")
        with tempfile.TemporaryDirectory(prefix="spice-") as folder:
            key = Path(folder) / "key"
            key.write_bytes(reply[4 : 4 + SPICE_KEY_SIZE])
            ticket = _openssl(["pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", str(key),
                               "-pkeyopt", "rsa_padding_mode:oaep"], password.encode() + b"\0")  # fmt: skip
        server.sendall(ticket)
        (status,) = struct.unpack("<I", _exactly(server, 4))
        return bool(status == 0)


def usb_redirection_hello(port: int) -> str:
    """How the emulator presents itself to a host that has USB devices."""
    with socket.create_connection((HOST, port), TIMEOUT) as server:
        kind, size = struct.unpack("<II", _exactly(server, 8))
        if kind != USB_REDIRECTION_HELLO:
            raise MachineError(f"USB redirection begins with packet {kind}")
        return _exactly(server, 4 + size)[4:68].rstrip(b"\0").decode()


def _exactly(server: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        part = server.recv(size - len(received))
        if not part:
            raise MachineError(f"the connection ended after {received!r}")
        received += part
    return received


def _openssl(words: list[str], data: bytes) -> bytes:
    done = subprocess.run(["openssl", *words], input=data, capture_output=True, check=False)
    if done.returncode:
        raise MachineError(f"openssl {words[0]}: {done.stderr.decode(errors='replace')}")
    return done.stdout
