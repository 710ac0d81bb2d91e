# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes wrong with a test machine."""


class MachineError(Exception):
    """A machine can't be made, or it ended without having done its work."""
