# SPDX-License-Identifier: GPL-2.0-or-later
"""The cases of two other folders run here, on an arm64 host."""

import places  # noqa: F401
