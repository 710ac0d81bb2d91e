/*
 * A TCG plugin that writes down each access to a range of addresses: address,
 * width, whether it stores, and the address of the instruction.
 *
 *     qemu-aarch64 -plugin accesses.so,from=ADDRESS,to=ADDRESS,out=FILE PROGRAM
 *
 * TCG makes a pair or a vector of several accesses.  What one execution of an
 * instruction does to adjacent addresses is written down as one access.
 *
 * For programs with one thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <qemu-plugin.h>

/* The version of the interface is the emulator's to say, see plugin.py. */
QEMU_PLUGIN_EXPORT int qemu_plugin_version = INTERFACE;

static uint64_t range_from, range_to;
static FILE *out;

/* Instructions executed so far, and the access that is not yet written. */
static uint64_t executed;
static struct {
    uint64_t address, pc, executed;
    unsigned width;
    bool is_store;
} last;

static void write_last(void)
{
    if (last.width) {
        fprintf(out, "%" PRIx64 " %u %c %" PRIx64 "\n", last.address,
                last.width, last.is_store ? 'S' : 'L', last.pc);
    }
    last.width = 0;
}

static void on_access(unsigned int cpu, qemu_plugin_meminfo_t info,
                      uint64_t address, void *pc)
{
    unsigned width = 1u << qemu_plugin_mem_size_shift(info);
    bool is_store = qemu_plugin_mem_is_store(info);

    if (address + width <= range_from || address >= range_to) {
        return;
    }
    if (last.width && last.executed == executed &&
        last.is_store == is_store && last.address + last.width == address) {
        last.width += width;
        return;
    }
    write_last();
    last.address = address;
    last.pc = (uintptr_t)pc;
    last.executed = executed;
    last.width = width;
    last.is_store = is_store;
}

static void on_instruction(unsigned int cpu, void *pc)
{
    executed++;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        void *pc = (void *)(uintptr_t)qemu_plugin_insn_vaddr(insn);

        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_instruction,
                                               QEMU_PLUGIN_CB_NO_REGS, pc);
        qemu_plugin_register_vcpu_mem_cb(insn, on_access,
                                         QEMU_PLUGIN_CB_NO_REGS,
                                         QEMU_PLUGIN_MEM_RW, pc);
    }
}

static void on_end(qemu_plugin_id_t id, void *data)
{
    write_last();
    if (fclose(out)) {
        perror("accesses");
        abort();
    }
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id,
                                           const qemu_info_t *info,
                                           int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (!strncmp(argv[i], "from=", 5)) {
            range_from = strtoull(argv[i] + 5, NULL, 0);
        } else if (!strncmp(argv[i], "to=", 3)) {
            range_to = strtoull(argv[i] + 3, NULL, 0);
        } else if (!strncmp(argv[i], "out=", 4)) {
            out = fopen(argv[i] + 4, "w");
        }
    }
    if (!out || range_from >= range_to) {
        fprintf(stderr, "accesses: give from=ADDRESS,to=ADDRESS,out=FILE\n");
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_end, NULL);
    return 0;
}
