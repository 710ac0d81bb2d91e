/*
 * The C headers that rust/ram-device implements; QEMU's own wrapper.h includes
 * them, too
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "system/ram-device.h"
#include "system/ram-device-fault.h"
#include "system/ram-device-pages.h"
