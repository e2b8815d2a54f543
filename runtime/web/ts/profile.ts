// Which of a bundle's profiles fit this browser.

interface Brands {
  userAgentData?: { brands?: { brand: string }[] };
  userAgent?: string;
}

/**
 * Profiles to try, best first. Profiles are tuned per browser, and a browser has no other mark than its name; what the
 * device can do is asked of the device, never guessed from here.
 */
export function familiesOf(navigator: unknown): string[] {
  const { userAgentData, userAgent = "" } = navigator as Brands;
  const brands = (userAgentData?.brands ?? []).map((b) => b.brand).join(" ");
  if (brands.includes("Edge") || userAgent.includes("Edg/")) return ["edge", "chrome"];
  if (brands.includes("Chrom") || userAgent.includes("Chrome/")) return ["chrome"];
  if (userAgent.includes("Firefox/")) return ["firefox", "chrome"];
  if (userAgent.includes("AppleWebKit/")) return ["safari", "chrome"];
  return ["chrome"];
}
