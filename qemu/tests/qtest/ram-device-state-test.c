/*
 * RAM device regions: snapshots, migration, dumps and debuggers
 *
 * Each test is named by the sentence that it proves; docs/devel/ram-device.rst
 * says what is defined.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/socket.h>
#include <sys/un.h>
#include "qemu/bswap.h"
#include "libqtest.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "ram-device-rig.h"

/* Offset in every target, odd on purpose, of what is looked at */
#define WHERE 0x1235

static char *new_path(void)
{
    char *path = NULL;
    int fd = g_file_open_tmp("ram-device.XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    return path;
}

/*
 * The accesses are these bytes of one region, in order and each of them once,
 * by the bulk functions.
 * Returns: how many accesses that were.
 */
static unsigned check_accesses(const RamDeviceVM *vm, unsigned from,
                               uint64_t offset, uint64_t len, bool is_write)
{
    GArray *accesses = rd_vm_accesses(vm);
    unsigned i, count = accesses->len;
    uint64_t at = offset;

    for (i = from; i < count; i++) {
        RamDeviceAccess a = g_array_index(accesses, RamDeviceAccess, i);

        g_assert_cmphex(a.offset, ==, at);
        g_assert_cmpint(a.is_write, ==, is_write);
        g_assert_true(a.is_copy);
        at += a.len;
    }
    g_assert_cmphex(at, ==, offset + len);
    g_array_unref(accesses);
    return count;
}

/*
 * Snapshots and migration
 */

#define BLOCKED "State blocked by non-migratable device"

static void check_blocked(const char *message)
{
    g_test_message("%s", message);
    g_assert_nonnull(strstr(message, BLOCKED));
    g_assert_nonnull(strstr(message, TYPE_RAM_DEVICE_TESTDEV));
}

static void check_migrate(const RamDeviceVM *vm)
{
    g_autofree char *path = new_path();
    g_autofree char *uri = g_strdup_printf("file:%s", path);
    g_autoptr(QDict) response = qtest_qmp(vm->qts, "{'execute': 'migrate', "
                                          "'arguments': {'uri': %s}}", uri);
    QDict *error = qdict_get_qdict(response, "error");
    struct stat sb;

    g_assert_nonnull(error);
    check_blocked(qdict_get_str(error, "desc"));
    g_assert_cmpint(stat(path, &sb), ==, 0);
    g_assert_cmpint(sb.st_size, ==, 0);
    unlink(path);
}

static void check_savevm(const RamDeviceVM *vm)
{
    g_autofree char *out = qtest_hmp(vm->qts, "savevm x");

    check_blocked(out);
}

/* Returns: the only job's error, once it is over; else NULL */
static char *job_error(const RamDeviceVM *vm)
{
    g_autoptr(QDict) response = qtest_qmp(vm->qts, "{'execute': 'query-jobs'}");
    const QListEntry *entry = qlist_first(qdict_get_qlist(response, "return"));
    QDict *job = qobject_to(QDict, qlist_entry_obj(entry));

    if (!g_str_equal(qdict_get_str(job, "status"), "concluded")) {
        return NULL;
    }
    return g_strdup(qdict_get_str(job, "error"));
}

static void check_snapshot_save(const RamDeviceVM *vm)
{
    const gint64 end = g_get_monotonic_time() + RD_TIMEOUT_US;
    g_autofree char *error = NULL;

    qtest_qmp_assert_success(vm->qts, "{'execute': 'snapshot-save', "
                             "'arguments': {'job-id': 'j', 'tag': 'x', "
                             "'vmstate': 'none', 'devices': []}}");
    while (!error) {
        g_assert(g_get_monotonic_time() < end);
        error = job_error(vm);
    }
    check_blocked(error);
}

/* Nothing is saved, no RAM device is touched, and the VM goes on */
static void test_blocked(void)
{
    RamDeviceVM *vm = rd_vm_start("", RD_TRACE_ACCESSES);
    uint8_t word[8];

    check_migrate(vm);
    check_savevm(vm);
    check_snapshot_save(vm);
    if (rd_can_trace()) {
        check_accesses(vm, 0, 0, 0, false);
    }

    rd_random(word, sizeof(word), 1);
    rd_put(vm, TARGET_STAGING, 0, word, sizeof(word));
    rd_start(vm, RDT_OP_WRITE, vm->memory[TARGET_MEM].addr, 0, sizeof(word), 0);
    g_assert_cmpuint(rd_failures(vm), ==, 0);
    rd_check(vm, TARGET_MEM, 0, word, sizeof(word));
    rd_vm_stop(vm);
}

/* QEMU refuses to start if migration is demanded */
static void test_only_migratable(void)
{
    g_autofree char *command = g_strdup_printf(
        "%s %s -accel qtest -nodefaults -display none -only-migratable "
        "-device " TYPE_RAM_DEVICE_TESTDEV, getenv("QTEST_QEMU_BINARY"),
        rd_machine());
    g_autofree char *err = NULL;
    int status;

    g_assert(g_spawn_command_line_sync(command, NULL, &err, &status, NULL));
    g_test_message("%s", err);
    g_assert(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 1);
    g_assert_nonnull(strstr(err, "-only-migratable"));
}

/*
 * dump-guest-memory
 */

#define MARK 64

/* Put marks of their own into RAM and both BARs */
static void put_marks(const RamDeviceVM *vm, uint8_t mark[TARGET_COUNT][MARK])
{
    unsigned t;

    for (t = 0; t < TARGET_COUNT; t++) {
        rd_random(mark[t], MARK, 77 + t);
        rd_put(vm, t, WHERE, mark[t], MARK);
    }
}

static QDict *dump(const RamDeviceVM *vm, const char *path, const char *format)
{
    g_autofree char *protocol = g_strdup_printf("file:%s", path);

    return qtest_qmp(vm->qts, "{'execute': 'dump-guest-memory', 'arguments': "
                     "{'paging': false, 'protocol': %s, 'format': %s}}",
                     protocol, format);
}

static bool contains(const char *path, const uint8_t *mark)
{
    GMappedFile *file = g_mapped_file_new(path, false, NULL);
    bool found;

    g_assert_nonnull(file);
    found = memmem(g_mapped_file_get_contents(file),
                   g_mapped_file_get_length(file), mark, MARK);
    g_mapped_file_unref(file);
    return found;
}

/* RAM devices are left out, and aren't touched */
static void test_dump(void)
{
    static const char *const formats[] = { "elf", "kdump-zlib" };
    uint8_t mark[TARGET_COUNT][MARK];
    RamDeviceVM *vm = rd_vm_start("", RD_TRACE_ACCESSES);
    unsigned i;

    put_marks(vm, mark);
    for (i = 0; i < ARRAY_SIZE(formats); i++) {
        g_autofree char *path = new_path();
        QDict *response = dump(vm, path, formats[i]);

        g_assert_true(qdict_haskey(response, "return"));
        qobject_unref(response);
        g_assert_false(contains(path, mark[TARGET_MEM]));
        g_assert_false(contains(path, mark[TARGET_REG]));
        if (i == 0) { /* pages of the other one are compressed */
            g_assert_true(contains(path, mark[TARGET_RAM]));
            g_assert_true(contains(path, mark[TARGET_STAGING]));
        }
        unlink(path);
    }
    if (rd_can_trace()) {
        check_accesses(vm, 0, 0, 0, false);
    }
    for (i = 0; i < ARRAY_SIZE(rd_bars); i++) {
        rd_check(vm, rd_bars[i], WHERE, mark[rd_bars[i]], MARK);
    }
    rd_vm_stop(vm);
}

/* To dump nothing but a RAM device is an error */
static void test_dump_range(void)
{
    RamDeviceVM *vm = rd_vm_start("", "");
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(rd_bars); i++) {
        g_autofree char *path = new_path();
        g_autofree char *protocol = g_strdup_printf("file:%s", path);
        QDict *response = qtest_qmp(
            vm->qts, "{'execute': 'dump-guest-memory', 'arguments': "
            "{'paging': false, 'protocol': %s, 'begin': %" PRId64 ", "
            "'length': 4096}}", protocol,
            (int64_t)vm->memory[rd_bars[i]].addr);

        qmp_expect_error_and_unref(response, "GenericError");
        unlink(path);
    }
    rd_vm_stop(vm);
}

/*
 * The monitor
 */

/* As many bytes as are in one piece of the monitor's, and some more */
#define SAVED (1024 + 333)

static void check_saved(const RamDeviceVM *vm, RamDeviceTarget t,
                        const char *command)
{
    g_autofree char *path = new_path();
    g_autofree char *out = NULL;
    g_autofree char *saved = NULL;
    gsize len;

    out = qtest_hmp(vm->qts, "%s 0x%" PRIx64 " %d \"%s\"", command,
                    vm->memory[t].addr + WHERE, SAVED, path);
    g_assert_cmpstr(out, ==, "");
    g_assert(g_file_get_contents(path, &saved, &len, NULL));
    g_assert_cmpuint(len, ==, SAVED);
    rd_check(vm, t, WHERE, saved, SAVED);
    unlink(path);
}

static void test_save(const void *data)
{
    const char *command = data;
    RamDeviceVM *vm = rd_vm_start("", RD_TRACE_ACCESSES);
    unsigned i, count = 0;

    for (i = 0; i < ARRAY_SIZE(rd_bars); i++) {
        check_saved(vm, rd_bars[i], command);
        if (rd_can_trace()) {
            count = check_accesses(vm, count, WHERE, SAVED, false);
        }
    }
    rd_vm_stop(vm);
}

/* Each of the values that are asked for is read once, and all are right */
static void test_xp(void)
{
    static const struct {
        char letter;
        unsigned size;
    } units[] = { { 'b', 1 }, { 'h', 2 }, { 'w', 4 }, { 'g', 8 } };
    RamDeviceVM *vm = rd_vm_start("", RD_TRACE_ACCESSES);
    unsigned i, j, count = 0;

    for (i = 0; i < ARRAY_SIZE(rd_bars); i++) {
        for (j = 0; j < ARRAY_SIZE(units); j++) {
            const unsigned size = units[j].size;
            const uint64_t offset = 0x400 + 8 * j;
            uint64_t value = 0;
            g_autofree char *want = NULL;
            g_autofree char *out =
                qtest_hmp(vm->qts, "xp /1x%c 0x%" PRIx64, units[j].letter,
                          vm->memory[rd_bars[i]].addr + offset);

            rd_get(vm, rd_bars[i], offset, &value, size);
            want = g_strdup_printf(": 0x%0*" PRIx64, size * 2,
                                   le64_to_cpu(value));
            g_assert_nonnull(strstr(out, want));
            if (rd_can_trace()) {
                count = check_accesses(vm, count, offset, size, false);
            }
        }
    }
    rd_vm_stop(vm);
}

/*
 * gdbstub
 */

typedef struct Gdb {
    RamDeviceVM *vm;
    char *path;
    int fd;
} Gdb;

static Gdb *gdb_new(void)
{
    Gdb *g = g_new0(Gdb, 1);
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    g_autofree char *extra = NULL;

    g->path = new_path();
    unlink(g->path);
    /* gdbstub wants an accelerator that can debug; the CPU doesn't run */
    extra = g_strdup_printf("-accel tcg -S "
                            "-gdb unix:path=%s,server=on,wait=off "
                            RD_TRACE_ACCESSES, g->path);
    g->vm = rd_vm_start("", extra);
    g->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    g_assert_cmpint(g->fd, >=, 0);
    g_assert_cmpuint(strlen(g->path), <, sizeof(addr.sun_path));
    strcpy(addr.sun_path, g->path);
    g_assert_cmpint(connect(g->fd, (struct sockaddr *)&addr, sizeof(addr)),
                    ==, 0);
    return g;
}

static void gdb_free(Gdb *g)
{
    close(g->fd);
    unlink(g->path);
    rd_vm_stop(g->vm);
    g_free(g->path);
    g_free(g);
}

static char gdb_getc(Gdb *g)
{
    char c;

    g_assert_cmpint(read(g->fd, &c, 1), ==, 1);
    return c;
}

/* Send a packet.  Returns: the contents of the reply */
static char *gdb_ask(Gdb *g, const char *packet)
{
    GString *reply = g_string_new(NULL);
    g_autofree char *sent = NULL;
    uint8_t sum = 0;
    const char *p;
    char c;

    for (p = packet; *p; p++) {
        sum += *p;
    }
    sent = g_strdup_printf("$%s#%02x", packet, sum);
    g_assert_cmpint(write(g->fd, sent, strlen(sent)), ==, strlen(sent));
    while (gdb_getc(g) != '$') {
        continue;
    }
    while ((c = gdb_getc(g)) != '#') {
        g_string_append_c(reply, c);
    }
    gdb_getc(g);
    gdb_getc(g);
    g_assert_cmpint(write(g->fd, "+", 1), ==, 1);
    return g_string_free(reply, false);
}

static char *to_hex(const uint8_t *buf, size_t len)
{
    char *hex = g_malloc0(2 * len + 1);
    size_t i;

    for (i = 0; i < len; i++) {
        sprintf(hex + 2 * i, "%02x", buf[i]);
    }
    return hex;
}

static void gdb_check_read(Gdb *g, uint64_t addr, const uint8_t *want,
                           size_t len)
{
    g_autofree char *packet = g_strdup_printf("m%" PRIx64 ",%zx", addr, len);
    g_autofree char *reply = gdb_ask(g, packet);
    g_autofree char *hex = to_hex(want, len);

    g_assert_cmpstr(reply, ==, hex);
}

static void gdb_write(Gdb *g, uint64_t addr, const uint8_t *buf, size_t len)
{
    g_autofree char *hex = to_hex(buf, len);
    g_autofree char *packet = g_strdup_printf("M%" PRIx64 ",%zx:%s", addr, len,
                                              hex);
    g_autofree char *reply = gdb_ask(g, packet);

    g_assert_cmpstr(reply, ==, "OK");
}

static void gdb_set_physical(Gdb *g, bool physical)
{
    g_autofree char *reply = gdb_ask(g, physical ? "Qqemu.PhyMemMode:1"
                                                 : "Qqemu.PhyMemMode:0");

    g_assert_cmpstr(reply, ==, "OK");
}

static const size_t gdb_sizes[] = { 1, 2, 3, 4, 7, 8, 9, 16, 31, 64, 257 };

/* What a debugger asks for, at every alignment, and not one byte more */
static void test_gdb(const void *data)
{
    bool physical = *(const bool *)data;
    const size_t guard = 16;
    Gdb *g;
    unsigned i, j, k, count = 0;

    if (!qtest_has_accel("tcg")) {
        g_test_skip("gdbstub needs TCG");
        return;
    }
    g = gdb_new();
    gdb_set_physical(g, physical);
    for (i = 0; i < ARRAY_SIZE(rd_bars); i++) {
        const RamDeviceMemory *m = &g->vm->memory[rd_bars[i]];
        g_autofree uint8_t *model = g_memdup2(m->host, m->size);

        for (j = 0; j < ARRAY_SIZE(gdb_sizes); j++) {
            for (k = 0; k < 8; k++) {
                const size_t offset = guard + 512 * j + k;
                const size_t len = gdb_sizes[j];

                gdb_check_read(g, m->addr + offset, model + offset, len);
                if (rd_can_trace()) {
                    count = check_accesses(g->vm, count, offset, len, false);
                }
                rd_random(model + offset, len, offset + physical);
                gdb_write(g, m->addr + offset, model + offset, len);
                if (rd_can_trace()) {
                    count = check_accesses(g->vm, count, offset, len, true);
                }
            }
        }
        rd_check(g->vm, rd_bars[i], 0, model, m->size);
    }
    gdb_free(g);
}

/* What is inside is accessed, what is outside is not the BAR's business */
static void test_gdb_off_the_end(const void *data)
{
    bool physical = *(const bool *)data;
    const size_t inside = 12, len = 32;
    Gdb *g;
    unsigned i, count = 0;

    if (!qtest_has_accel("tcg")) {
        g_test_skip("gdbstub needs TCG");
        return;
    }
    g = gdb_new();
    gdb_set_physical(g, physical);
    for (i = 0; i < ARRAY_SIZE(rd_bars); i++) {
        const RamDeviceMemory *m = &g->vm->memory[rd_bars[i]];
        const uint64_t offset = m->size - inside;
        g_autofree uint8_t *model = g_memdup2(m->host, m->size);
        g_autofree char *hex = to_hex(model + offset, inside);
        g_autofree char *ask = g_strdup_printf("m%" PRIx64 ",%zx",
                                               m->addr + offset, len);
        g_autofree char *read = gdb_ask(g, ask);
        g_autofree char *new_hex = NULL;
        g_autofree char *tell = NULL;
        g_autofree char *written = NULL;
        uint8_t new_bytes[32];

        g_assert_true(g_str_has_prefix(read, hex) ||
                      g_str_equal(read, "E14"));
        if (rd_can_trace()) {
            count = check_accesses(g->vm, count, offset, inside, false);
        }

        rd_random(new_bytes, len, 9 + i);
        memcpy(model + offset, new_bytes, inside);
        new_hex = to_hex(new_bytes, len);
        tell = g_strdup_printf("M%" PRIx64 ",%zx:%s", m->addr + offset, len,
                               new_hex);
        written = gdb_ask(g, tell);
        g_test_message("off the end: read '%s', write '%s'", read, written);
        g_assert_true(g_str_equal(written, "OK") ||
                      g_str_equal(written, "E14"));
        if (rd_can_trace()) {
            count = check_accesses(g->vm, count, offset, inside, true);
        }
        rd_check(g->vm, rd_bars[i], 0, model, m->size);
        gdb_check_read(g, m->addr, model, 8);
        if (rd_can_trace()) {
            count = check_accesses(g->vm, count, 0, 8, false);
        }
    }
    gdb_free(g);
}

/* Where nothing is, a debugger is told so; QEMU lives, and the BARs do */
static void test_gdb_nowhere(void)
{
    const uint64_t nowhere = 0x3000000000;
    Gdb *g;
    unsigned i;

    if (!qtest_has_accel("tcg")) {
        g_test_skip("gdbstub needs TCG");
        return;
    }
    g = gdb_new();
    for (i = 0; i < 2; i++) {
        g_autofree char *packet = g_strdup_printf(i ? "M%" PRIx64 ",4:01020304"
                                                    : "m%" PRIx64 ",4",
                                                  nowhere);
        g_autofree char *reply = gdb_ask(g, packet);

        g_assert_cmpstr(reply, ==, "E14");
    }
    for (i = 0; i < ARRAY_SIZE(rd_bars); i++) {
        const RamDeviceMemory *m = &g->vm->memory[rd_bars[i]];

        gdb_check_read(g, m->addr, m->host, 64);
    }
    gdb_free(g);
}

int main(int argc, char **argv)
{
    static const bool modes[] = { false, true };
    unsigned i;

    g_test_init(&argc, &argv, NULL);

    qtest_add_func("/ram-device/state/savevm-and-migrate-are-refused",
                   test_blocked);
    qtest_add_func("/ram-device/state/only-migratable-refuses-the-device",
                   test_only_migratable);
    qtest_add_func("/ram-device/state/dump-guest-memory-leaves-them-out",
                   test_dump);
    qtest_add_func("/ram-device/state/dump-guest-memory-of-a-bar-is-an-error",
                   test_dump_range);
    rd_add("pmemsave", test_save, "state/pmemsave-is-exact");
    rd_add("memsave", test_save, "state/memsave-is-exact");
    qtest_add_func("/ram-device/state/xp-is-exact", test_xp);
    qtest_add_func("/ram-device/state/gdbstub/"
                   "accesses-to-nowhere-are-an-error", test_gdb_nowhere);
    for (i = 0; i < ARRAY_SIZE(modes); i++) {
        const char *mode = modes[i] ? "physical" : "virtual";

        rd_add(&modes[i], test_gdb, "state/gdbstub/%s-accesses-are-exact",
               mode);
        rd_add(&modes[i], test_gdb_off_the_end,
               "state/gdbstub/%s-accesses-end-with-the-bar", mode);
    }
    return g_test_run();
}
