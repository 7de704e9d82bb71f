/** Begins a session, twice: a leader can't begin another. */

import { isSystemError, setSession } from "../../src/index.ts";

const first = setSession();
let second = "none";
try {
  setSession();
} catch (error) {
  second = isSystemError(error) ? error.code : String(error);
}
console.log(JSON.stringify({ first, second, pid: process.pid }));
