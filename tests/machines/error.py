# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes wrong with a test machine: it can't be made, or it ended without having done its work.

These are the expected failures of scripts/, which gets packages for the machines.
"""

from workplace import NotAvailable
from workplace import Refused as MachineError

__all__ = ["MachineError", "NotAvailable"]
