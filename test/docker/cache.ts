/** Where the Docker harness keeps between two runs what is slow to make: under `.cache/`, which git ignores. */

import { join, resolve } from "node:path";

export const REPOSITORY_DIRECTORY = resolve(import.meta.dir, "../..");

export const CACHE_DIRECTORY = join(REPOSITORY_DIRECTORY, ".cache/docker");

/** The engine's images, containers and build cache. */
export const ENGINE_DATA_DIRECTORY = join(CACHE_DIRECTORY, "engine");

/** `DOCKER_CONFIG` of the harness: the Compose plugin, where the machine has none. */
export const CLIENT_DIRECTORY = join(CACHE_DIRECTORY, "client");

/** Package lists of the Debian release that Compose is taken from, apart from the machine's own. */
export const APT_DIRECTORY = join(CACHE_DIRECTORY, "apt");

/** Held by the engine as long as it lives, so that two runs do not open one data directory. */
export const ENGINE_LOCK = join(CACHE_DIRECTORY, "engine.lock");

/** Exists while the data directory is as a proper stop left it. */
export const ENGINE_CLEAN_MARK = join(CACHE_DIRECTORY, "engine.clean");

/** Names the directory of sockets of the last engine, so that the next one can remove what a killed run left. */
export const ENGINE_RUN_RECORD = join(CACHE_DIRECTORY, "engine.run");
