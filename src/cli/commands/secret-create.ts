/** `minitail secret create` */

import { formatBase32 } from "../../base/base32.ts";
import { declareCommand } from "../declare.ts";
import { EXIT_DONE } from "../exit-status.ts";

/** Who reads the registry tests guesses at leisure: nobody comes to the end of so many. */
const SECRET_LENGTH_BITS = 128;

export default declareCommand({
  name: "create",
  description: "print a strong shared secret, for minitail up --secret",
  examples: ["minitail secret create", "(umask 077; minitail secret create > secret.txt)"],
  args: {},
  async run(_args, { globals, output }) {
    const secret = formatBase32(crypto.getRandomValues(new Uint8Array(SECRET_LENGTH_BITS / 8)));
    if (globals.json) output.json({ secret, bits: SECRET_LENGTH_BITS });
    else output.line(secret);
    return EXIT_DONE;
  },
});
