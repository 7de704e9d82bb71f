/**
 * Makes the bundler put sodium-native's prebuilt binding into the executable, for both processors.
 * Evaluated in a bundle only: Bun running from the source refuses to import a `.node` file in any form.
 */

import bindingForArm64 from "sodium-native/prebuilds/linux-arm64/sodium-native.node" with { type: "file" };
import bindingForX64 from "sodium-native/prebuilds/linux-x64/sodium-native.node" with { type: "file" };

/** Where the binding for `process.arch` lies, relative to the bundle or inside the executable. */
export const embeddedSodiumFiles: Readonly<Partial<Record<string, string>>> = {
  arm64: bindingForArm64,
  x64: bindingForX64,
};
