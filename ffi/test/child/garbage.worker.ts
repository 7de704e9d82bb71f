/** Posts that it has begun, then makes garbage until it is terminated. */

postMessage("begun");
let garbage: object = {};
for (let round = 0; ; round += 1) {
  garbage = { garbage: round % 1000 === 0 ? {} : garbage, bytes: new Uint8Array(new ArrayBuffer(2000)) };
}
