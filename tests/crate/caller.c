/*
 * Calls from C of every function that ram-device.h and its neighbours declare
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <stdio.h>
#include <string.h>
#include "system/ram-device.h"
#include "system/ram-device-fault.h"
#include "system/ram-device-pages.h"

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            printf("line %d: not so: %s\n", __LINE__, #condition); \
            return 1; \
        } \
    } while (0)

int main(void)
{
    uint8_t bar[32], ram[32];
    RamDevice rd = {
        .host = bar,
        .size = sizeof(bar) - 8, /* the last 8 bytes guard the end */
    };
    const RamDeviceAccount account = { .limit = 8192, .used = 4096 };
    RamDevicePages pages = { { 0 } };
    uint64_t value;
    int i;

    for (i = 0; i < (int)sizeof(bar); i++) {
        bar[i] = i;
    }

    CHECK(!ram_device_gives_pointer(&rd, false));
    rd.direct = true;
    CHECK(ram_device_gives_pointer(&rd, true));
    rd.readonly = true;
    CHECK(!ram_device_gives_pointer(&rd, true));
    CHECK(ram_device_gives_pointer(&rd, false));
    CHECK(!ram_device_store(&rd, 0, 1, 0xee));
    CHECK(!ram_device_write(&rd, 0, ram, 1));
    CHECK(bar[0] == 0);
    rd.readonly = false;

    CHECK(ram_device_load(&rd, 3, 1, &value) && value == 3);
    CHECK(ram_device_load(&rd, 1, 8, &value) &&
          !memcmp(&value, bar + 1, sizeof(value)));
    CHECK(!ram_device_load(&rd, 0, 3, &value) && value == UINT64_MAX);
    CHECK(!ram_device_load(&rd, 17, 8, &value) && value == UINT64_MAX);

    CHECK(ram_device_store(&rd, 5, 2, 0x11111));
    CHECK(bar[4] == 4 && bar[5] == 0x11 && bar[6] == 0x11 && bar[7] == 7);
    CHECK(!ram_device_store(&rd, 21, 4, 0));
    CHECK(bar[21] == 21 && bar[24] == 24);

    CHECK(ram_device_read(&rd, 7, ram + 1, 17) && !memcmp(ram + 1, bar + 7, 17));
    memset(ram, 0, sizeof(ram));
    CHECK(!ram_device_read(&rd, 8, ram, 17));
    CHECK(ram[0] == 0xff && ram[16] == 0xff && ram[17] == 0);

    memset(ram, 0xaa, sizeof(ram));
    CHECK(ram_device_write(&rd, 9, ram + 3, 15));
    CHECK(bar[8] == 8 && bar[9] == 0xaa && bar[23] == 0xaa && bar[24] == 24);
    CHECK(!ram_device_write(&rd, 9, ram, 16) && bar[24] == 24);

    CHECK(!ram_device_fixup(0));

    memset(ram, 0, sizeof(ram));
    CHECK(ram_move_word(ram + 1, bar + 2, 4));
    CHECK(ram[0] == 0 && !memcmp(ram + 1, bar + 2, 4) && ram[5] == 0);
    CHECK(!ram_move_word(ram, bar + 2, 3) && ram[0] == 0);

    CHECK(ram_device_budget_ask(&account, 0, 4096, false) ==
          RAM_DEVICE_GRANTED);
    CHECK(ram_device_budget_ask(&account, 0, 4097, false) == RAM_DEVICE_LATER);
    CHECK(ram_device_budget_ask(&account, 0, 8193, true) == RAM_DEVICE_NEVER);
    CHECK(ram_device_pages_take(&pages, 2) == 0);
    CHECK(pages.used[0] == 3);
    CHECK(ram_device_pages_take(&pages, RAM_DEVICE_CHUNK_PAGES) ==
          RAM_DEVICE_CHUNK_PAGES);
    CHECK(!ram_device_pages_give(&pages, 0, 1));
    CHECK(ram_device_pages_give(&pages, 1, 1));

    return 0;
}
