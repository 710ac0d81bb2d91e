// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes system RAM of a PCI device's memory BAR, as a GPU's driver does with
 * the GPU's memory: the function's last 64-bit prefetchable BAR is hot-added
 * as driver-managed memory.  (A GH200's GPU has two; the last one, BAR 4, is
 * the one that its driver adds.)
 *
 * Whether and how it is onlined is the administrator's choice, made before
 * this module is loaded: /sys/devices/system/memory/auto_online_blocks.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/align.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/topology.h>

/* The kernel wants this form of name, and keeps the pointer. */
#define RESOURCE_NAME "System RAM (" KBUILD_MODNAME ")"

/* Returns: the number of the function's memory BAR, or -ENODEV */
static int find_memory_bar(struct pci_dev *pdev)
{
	const unsigned long wanted = IORESOURCE_MEM | IORESOURCE_MEM_64 |
				     IORESOURCE_PREFETCH;
	int bar;

	for (bar = PCI_STD_NUM_BARS - 1; bar >= 0; bar--) {
		if ((pci_resource_flags(pdev, bar) & wanted) == wanted &&
		    pci_resource_len(pdev, bar))
			return bar;
	}
	pci_err(pdev, "no 64-bit prefetchable BAR: give the device one\n");
	return -ENODEV;
}

static int ram_bar_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	const unsigned long block = memory_block_size_bytes();
	const int bar = find_memory_bar(pdev);
	int node = dev_to_node(&pdev->dev);
	u64 start, size;
	int ret;

	if (bar < 0)
		return bar;
	start = pci_resource_start(pdev, bar);
	size = pci_resource_len(pdev, bar);
	if (!IS_ALIGNED(start, block) || !IS_ALIGNED(size, block)) {
		pci_err(pdev, "BAR %d is %pR: memory is added in blocks of %lu MiB only, make the BAR larger\n",
			bar, &pdev->resource[bar], block / SZ_1M);
		return -EINVAL;
	}
	ret = pci_enable_device_mem(pdev);
	if (ret)
		return ret;

	/*
	 * The BAR isn't requested: the memory's own resource is to lie in it,
	 * and a busy one would bear no other.
	 */
	if (node == NUMA_NO_NODE)
		node = numa_mem_id();
	ret = add_memory_driver_managed(node, start, size, RESOURCE_NAME,
					MHP_NONE);
	if (ret) {
		pci_err(pdev, "cannot add BAR %d as memory: error %d\n", bar,
			ret);
		pci_disable_device(pdev);
		return ret;
	}
	/* RESOURCE_NAME is in use as long as the memory is. */
	__module_get(THIS_MODULE);
	pci_info(pdev, "BAR %d, %llu MiB at 0x%llx, is memory of node %d\n",
		 bar, size / SZ_1M, start, node);
	return 0;
}

/* Comes at unbind and unplug, and cannot refuse. */
static void ram_bar_remove(struct pci_dev *pdev)
{
	const int bar = find_memory_bar(pdev);
	int ret = offline_and_remove_memory(pci_resource_start(pdev, bar),
					    pci_resource_len(pdev, bar));

	if (ret) {
		/* The device stays enabled, or the memory would be gone. */
		pci_err(pdev, "BAR %d is in use, and stays memory until shutdown: error %d\n",
			bar, ret);
		return;
	}
	pci_disable_device(pdev);
	module_put(THIS_MODULE);
	pci_info(pdev, "BAR %d is no longer memory\n", bar);
}

static const struct pci_device_id ram_bar_ids[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_REDHAT, 0x00f0) },		/* ram-device-testdev */
	{ PCI_DEVICE(PCI_VENDOR_ID_REDHAT_QUMRANET, 0x1110) },	/* ivshmem */
	{ PCI_DEVICE(PCI_VENDOR_ID_REDHAT, 0x0010) },		/* nvme */
	{ PCI_DEVICE(0x1234, 0x1111) },				/* bochs-display */
	{ }
};
MODULE_DEVICE_TABLE(pci, ram_bar_ids);

static struct pci_driver ram_bar_driver = {
	.name = KBUILD_MODNAME,
	.id_table = ram_bar_ids,
	.probe = ram_bar_probe,
	.remove = ram_bar_remove,
};
module_pci_driver(ram_bar_driver);

MODULE_DESCRIPTION("System RAM in a PCI BAR");
MODULE_LICENSE("GPL");
