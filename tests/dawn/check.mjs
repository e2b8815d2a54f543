// Runs Chromium's own shader compiler (Dawn, through the npm package `webgpu`) over folders of .wgsl files.
//
//   npm ci && node check.mjs FOLDER_OR_FILE...
//
// A Vulkan driver is needed, for the device only. SwiftShader comes with Debian's package chromium-common:
//   VK_DRIVER_FILES=/usr/lib/chromium/vk_swiftshader_icd.json
// Exit code 0: all shaders make a compute pipeline. 1: some do not; each message has file, line and column.
// 3: no adapter. Shaders that enable a feature which the adapter lacks are counted as skipped.
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { create } from 'webgpu';

const shaders = (path) =>
  statSync(path).isDirectory()
    ? readdirSync(path).sort().flatMap((name) => shaders(join(path, name)))
    : path.endsWith('.wgsl') ? [path] : [];
const files = process.argv.slice(2).flatMap(shaders);
if (files.length === 0) {
  console.error('usage: node check.mjs FOLDER_OR_FILE...');
  process.exit(2);
}

const gpu = create(['enable-dawn-features=allow_unsafe_apis']);
const adapter = await gpu.requestAdapter();
if (!adapter) {
  console.error('no WebGPU adapter: set VK_DRIVER_FILES to a Vulkan driver');
  process.exit(3);
}
const needed = { f16: 'shader-f16', subgroups: 'subgroups' };
const limits = [
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupStorageSize',
  'maxStorageBuffersPerShaderStage',
];
const device = await adapter.requestDevice({
  requiredFeatures: Object.values(needed).filter((feature) => adapter.features.has(feature)),
  requiredLimits: Object.fromEntries(limits.map((name) => [name, adapter.limits[name]])),
});

let failed = 0;
let skipped = 0;
for (const file of files) {
  const code = readFileSync(file, 'utf8');
  const enabled = [...code.matchAll(/^enable (\w+);/gm)].map((m) => needed[m[1]]);
  if (enabled.some((feature) => !device.features.has(feature))) {
    skipped += 1;
    continue;
  }
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ code });
  const { messages } = await module.getCompilationInfo();
  const errors = messages
    .filter((m) => m.type === 'error')
    .map((m) => `${file}:${m.lineNum}:${m.linePos}: ${m.message}`);
  if (errors.length === 0) device.createComputePipeline({ layout: 'auto', compute: { module, entryPoint: 'main' } });
  const refused = await device.popErrorScope();
  if (errors.length === 0 && refused) errors.push(`${file}: ${refused.message}`);
  if (errors.length > 0) {
    failed += 1;
    console.log(errors.join('\n'));
  }
}
console.log(`${files.length - failed - skipped} accepted, ${failed} refused, ${skipped} skipped for want of a feature`);
device.destroy();
process.exit(failed > 0 ? 1 : 0);
