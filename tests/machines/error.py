# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes wrong with a test machine."""


class MachineError(Exception):
    """A machine can't be made, or it ended without having done its work."""


class NotAvailable(MachineError):
    """Something isn't here and can't be had: a program, a package, a network. A test that needs it is skipped.

    Whatever is there and doesn't work is no such error, and fails the test.
    """
