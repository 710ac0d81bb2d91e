// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A variant of vfio-pci whose mappings never revive, as those of nvgrace-gpu
 * in Linux 6.12: mmap() maps the BAR at once, there is no fault handler, and
 * what takes memory away (memory-enable, D3hot, a reset) takes the mapping
 * away for good. Later accesses through it are bus errors, and only a new
 * mmap() maps the BAR again.
 *
 * It is stricter than nvgrace-gpu in one thing: an mmap() that is made while
 * there is no memory gives a mapping that is dead from the start.
 *
 * For Linux 6.1. Bound by driver_override, to any PCI function.
 */

#include <linux/err.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

/* How vfio-pci-core divides a device's file into regions. */
#define REGION_SHIFT 40

/*
 * mmap_lock is taken before @lock, which guards what follows it. @revocations
 * is the number of calls that are taking memory away: nothing is mapped
 * meanwhile.
 */
struct eager_device {
	struct vfio_pci_core_device core;
	struct mutex lock;
	struct list_head mappings;
	unsigned int revocations;
};

/* A mapping, in the list of its device until it is dead. */
struct eager_mapping {
	struct list_head entry;
	struct eager_device *device;
	struct vm_area_struct *vma;
};

static struct eager_device *eager_device(struct vfio_device *vdev)
{
	return container_of(vdev, struct eager_device, core.vdev);
}

static void add_mapping(struct eager_device *device, struct vm_area_struct *vma)
{
	struct eager_mapping *mapping;

	mapping = kmalloc(sizeof(*mapping), GFP_KERNEL | __GFP_NOFAIL);
	mapping->device = device;
	mapping->vma = vma;
	vma->vm_private_data = mapping;
	mutex_lock(&device->lock);
	list_add(&mapping->entry, &device->mappings);
	mutex_unlock(&device->lock);
}

/* A copy of a mapping: of fork(), of mremap(), which then moves its pages. */
static void eager_vma_open(struct vm_area_struct *vma)
{
	struct eager_mapping *original = vma->vm_private_data;

	add_mapping(original->device, vma);
}

static void eager_vma_close(struct vm_area_struct *vma)
{
	struct eager_mapping *mapping = vma->vm_private_data;

	mutex_lock(&mapping->device->lock);
	list_del(&mapping->entry);
	mutex_unlock(&mapping->device->lock);
	kfree(mapping);
}

static const struct vm_operations_struct eager_vma_ops = {
	.open = eager_vma_open,
	.close = eager_vma_close,
};

/* Called with memory_lock held. */
static bool has_memory(struct vfio_pci_core_device *core)
{
	return core->pdev->current_state < PCI_D3hot &&
	       (core->vconfig[PCI_COMMAND] & PCI_COMMAND_MEMORY);
}

static int eager_mmap(struct vfio_device *vdev, struct vm_area_struct *vma)
{
	struct eager_device *device = eager_device(vdev);
	struct vfio_pci_core_device *core = &device->core;
	const unsigned int bar = vma->vm_pgoff >> (REGION_SHIFT - PAGE_SHIFT);
	unsigned long pfn = vma->vm_pgoff &
			    ((1UL << (REGION_SHIFT - PAGE_SHIFT)) - 1);
	int ret;

	/* It checks the request, and gives the mapping its attributes. */
	ret = vfio_pci_core_mmap(vdev, vma);
	if (ret)
		return ret;
	pfn += pci_resource_start(core->pdev, bar) >> PAGE_SHIFT;

	/*
	 * First it is listed: who takes memory away before it is mapped counts
	 * in revocations, and who does later waits for mmap_lock, held here.
	 */
	add_mapping(device, vma);
	vma->vm_ops = &eager_vma_ops;
	mutex_lock(&device->lock);
	down_read(&core->memory_lock);
	if (!device->revocations && has_memory(core))
		ret = remap_pfn_range(vma, vma->vm_start, pfn,
				      vma->vm_end - vma->vm_start,
				      vma->vm_page_prot);
	up_read(&core->memory_lock);
	mutex_unlock(&device->lock);
	if (ret)
		eager_vma_close(vma);
	return ret;
}

/* Returns: an address space that has a living mapping, to be put, or NULL */
static struct mm_struct *get_mapped_mm(struct eager_device *device)
{
	struct eager_mapping *mapping;
	struct mm_struct *mm = NULL;

	mutex_lock(&device->lock);
	list_for_each_entry(mapping, &device->mappings, entry) {
		/* One that ends unmaps by itself. */
		if (mmget_not_zero(mapping->vma->vm_mm)) {
			mm = mapping->vma->vm_mm;
			break;
		}
	}
	mutex_unlock(&device->lock);
	return mm;
}

static void begin_revocation(struct eager_device *device)
{
	struct eager_mapping *mapping, *next;
	struct mm_struct *mm;

	mutex_lock(&device->lock);
	device->revocations++;
	mutex_unlock(&device->lock);

	while ((mm = get_mapped_mm(device))) {
		mmap_read_lock(mm);
		mutex_lock(&device->lock);
		list_for_each_entry_safe(mapping, next, &device->mappings, entry) {
			struct vm_area_struct *vma = mapping->vma;

			if (vma->vm_mm != mm)
				continue;
			list_del_init(&mapping->entry);
			zap_vma_ptes(vma, vma->vm_start,
				     vma->vm_end - vma->vm_start);
		}
		mutex_unlock(&device->lock);
		mmap_read_unlock(mm);
		mmput(mm);
	}
}

static void end_revocation(struct eager_device *device)
{
	mutex_lock(&device->lock);
	device->revocations--;
	mutex_unlock(&device->lock);
}

/* Returns: whether a write has a byte for this place in the config region */
static bool is_written(loff_t place, const char __user *buf, size_t count,
		       loff_t pos, u8 *value)
{
	if (place < pos || place >= pos + count)
		return false;
	return !get_user(*value, (const u8 __user *)buf + (place - pos));
}

static bool takes_memory_away(struct pci_dev *pdev, const char __user *buf,
			      size_t count, loff_t pos)
{
	u8 value;

	if (pos >> REGION_SHIFT != VFIO_PCI_CONFIG_REGION_INDEX)
		return false;
	pos &= (1ULL << REGION_SHIFT) - 1;
	if (is_written(PCI_COMMAND, buf, count, pos, &value) &&
	    !(value & PCI_COMMAND_MEMORY))
		return true;
	if (pdev->pm_cap &&
	    is_written(pdev->pm_cap + PCI_PM_CTRL, buf, count, pos, &value) &&
	    (value & PCI_PM_CTRL_STATE_MASK) == PCI_D3hot)
		return true;
	/* The bit is in the register's second byte. */
	return pci_is_pcie(pdev) &&
	       is_written(pci_pcie_cap(pdev) + PCI_EXP_DEVCTL + 1, buf, count,
			  pos, &value) &&
	       value & PCI_EXP_DEVCTL_BCR_FLR >> 8;
}

static ssize_t eager_write(struct vfio_device *vdev, const char __user *buf,
			   size_t count, loff_t *ppos)
{
	struct eager_device *device = eager_device(vdev);
	ssize_t ret;

	if (!takes_memory_away(device->core.pdev, buf, count, *ppos))
		return vfio_pci_core_write(vdev, buf, count, ppos);
	begin_revocation(device);
	ret = vfio_pci_core_write(vdev, buf, count, ppos);
	end_revocation(device);
	return ret;
}

static long eager_ioctl(struct vfio_device *vdev, unsigned int cmd,
			unsigned long arg)
{
	struct eager_device *device = eager_device(vdev);
	long ret;

	if (cmd != VFIO_DEVICE_RESET && cmd != VFIO_DEVICE_PCI_HOT_RESET)
		return vfio_pci_core_ioctl(vdev, cmd, arg);
	begin_revocation(device);
	ret = vfio_pci_core_ioctl(vdev, cmd, arg);
	end_revocation(device);
	return ret;
}

static int eager_init(struct vfio_device *vdev)
{
	struct eager_device *device = eager_device(vdev);

	mutex_init(&device->lock);
	INIT_LIST_HEAD(&device->mappings);
	return vfio_pci_core_init_dev(vdev);
}

static int eager_open_device(struct vfio_device *vdev)
{
	struct vfio_pci_core_device *core = &eager_device(vdev)->core;
	int ret = vfio_pci_core_enable(core);

	if (!ret)
		vfio_pci_core_finish_enable(core);
	return ret;
}

static const struct vfio_device_ops eager_ops = {
	.name = KBUILD_MODNAME,
	.init = eager_init,
	.release = vfio_pci_core_release_dev,
	.open_device = eager_open_device,
	.close_device = vfio_pci_core_close_device,
	.ioctl = eager_ioctl,
	.device_feature = vfio_pci_core_ioctl_feature,
	.read = vfio_pci_core_read,
	.write = eager_write,
	.mmap = eager_mmap,
	.request = vfio_pci_core_request,
	.match = vfio_pci_core_match,
};

static int eager_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct eager_device *device;
	int ret;

	device = vfio_alloc_device(eager_device, core.vdev, &pdev->dev,
				   &eager_ops);
	if (IS_ERR(device))
		return PTR_ERR(device);
	dev_set_drvdata(&pdev->dev, &device->core);
	ret = vfio_pci_core_register_device(&device->core);
	if (ret)
		vfio_put_device(&device->core.vdev);
	return ret;
}

static void eager_remove(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core = dev_get_drvdata(&pdev->dev);

	vfio_pci_core_unregister_device(core);
	vfio_put_device(&core->vdev);
}

static const struct pci_device_id eager_ids[] = {
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(PCI_ANY_ID, PCI_ANY_ID) },
	{ }
};
MODULE_DEVICE_TABLE(pci, eager_ids);

static struct pci_driver eager_driver = {
	.name = KBUILD_MODNAME,
	.id_table = eager_ids,
	.probe = eager_probe,
	.remove = eager_remove,
	.err_handler = &vfio_pci_core_err_handlers,
	.driver_managed_dma = true,
};
module_pci_driver(eager_driver);

MODULE_DESCRIPTION("vfio-pci whose mappings never revive");
MODULE_LICENSE("GPL");
