/*
 * A Vulkan driver that passes everything on to another one, under the name of the one that Chromium ships.
 *
 * Chromium loads its software driver from its own folder and takes no other for WebGPU: a driver on the CPU has
 * to carry the ids of that one. A build of this file lies there in its place, opens the driver at DRIVER (a path that
 * the compiler is given), and changes nothing but the two ids in the answers about the device.
 */

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifndef DRIVER
#error "DRIVER must be the path of the driver to pass calls on to"
#endif

#define EXPORT __attribute__((visibility("default")))

/* What is passed through, as far as it matters here; the layouts are those of the Vulkan specification. */
typedef void (*any_function)(void);
typedef any_function (*get_address)(void *instance, const char *name);
typedef int32_t (*negotiate)(uint32_t *version);

struct properties {
  uint32_t api_version, driver_version, vendor_id, device_id;
};

struct properties2 {
  uint32_t type;
  void *next;
  struct properties properties;
};

typedef void (*get_properties)(void *device, struct properties *answer);
typedef void (*get_properties2)(void *device, struct properties2 *answer);

enum {
  VENDOR_ID = 0x1AE0,
  DEVICE_ID = 0xC0DE,
  /* The last version of the interface between loader and driver that asks for no more exports than there are here. */
  INTERFACE_VERSION = 5,
  ERROR_INCOMPATIBLE_DRIVER = -9,
};

static get_address inner_address;
static get_properties inner_properties;
static get_properties2 inner_properties2;

/* Before the first call, while the library is being loaded: so no thread can come in between. */
__attribute__((constructor)) static void open_driver(void) {
  void *library = dlopen(DRIVER, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    return;
  }
  negotiate agree = (negotiate)dlsym(library, "vk_icdNegotiateLoaderICDInterfaceVersion");
  uint32_t version = INTERFACE_VERSION;
  if (agree != NULL && agree(&version) != 0) return;
  inner_address = (get_address)dlsym(library, "vk_icdGetInstanceProcAddr");
}

static void rename_device(struct properties *answer) {
  answer->vendor_id = VENDOR_ID;
  answer->device_id = DEVICE_ID;
}

static void renamed_properties(void *device, struct properties *answer) {
  inner_properties(device, answer);
  rename_device(answer);
}

static void renamed_properties2(void *device, struct properties2 *answer) {
  inner_properties2(device, answer);
  rename_device(&answer->properties);
}

/* Chromium calls the library without a loader, and asks for what a loader answers. */
static int32_t no_layers(uint32_t *count, void *layers) {
  (void)layers;
  *count = 0;
  return 0;
}

EXPORT any_function vkGetInstanceProcAddr(void *instance, const char *name) {
  if (inner_address == NULL) return NULL;
  if (strcmp(name, "vkGetInstanceProcAddr") == 0) return (any_function)vkGetInstanceProcAddr;
  if (strcmp(name, "vkEnumerateInstanceLayerProperties") == 0) return (any_function)no_layers;
  any_function found = inner_address(instance, name);
  if (found == NULL) return NULL;
  if (strcmp(name, "vkGetPhysicalDeviceProperties") == 0) {
    inner_properties = (get_properties)found;
    return (any_function)renamed_properties;
  }
  if (strcmp(name, "vkGetPhysicalDeviceProperties2") == 0 || strcmp(name, "vkGetPhysicalDeviceProperties2KHR") == 0) {
    inner_properties2 = (get_properties2)found;
    return (any_function)renamed_properties2;
  }
  return found;
}

EXPORT any_function vk_icdGetInstanceProcAddr(void *instance, const char *name) {
  return vkGetInstanceProcAddr(instance, name);
}

EXPORT int32_t vk_icdNegotiateLoaderICDInterfaceVersion(uint32_t *version) {
  if (inner_address == NULL) return ERROR_INCOMPATIBLE_DRIVER;
  if (*version > INTERFACE_VERSION) *version = INTERFACE_VERSION;
  return 0;
}
