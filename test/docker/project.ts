/** A Compose project on an engine of the harness: everything that a person does with `docker compose`. */

import type { CommandResult } from "../machine/command.ts";
import { type DockerEngine, requireDocker } from "./engine.ts";

const BUILD_TIMEOUT_MS = 480_000;
const UP_TIMEOUT_MS = 180_000;
const STOP_TIMEOUT_MS = 60_000;

export class ComposeProject {
  readonly #engine: DockerEngine;
  readonly #arguments: readonly string[];

  /** @param name of the project: its containers, networks and volumes are named after it */
  constructor(engine: DockerEngine, name: string, composeFile: string) {
    this.#engine = engine;
    this.#arguments = ["compose", "--project-name", name, "--file", composeFile];
  }

  async build(): Promise<string> {
    return this.#require(["build"], BUILD_TIMEOUT_MS);
  }

  /** Starts all services and returns when every health check is green. */
  async up(): Promise<string> {
    return this.#require(["up", "--detach", "--wait"], UP_TIMEOUT_MS);
  }

  /** Runs a program in a service's container. */
  exec(service: string, argv: readonly string[], timeoutMs?: number): Promise<CommandResult> {
    return this.#engine.docker([...this.#arguments, "exec", "--no-TTY", service, ...argv], timeoutMs);
  }

  /** Kills the containers of a service (without a chance to clean up), or of all. */
  async kill(...services: string[]): Promise<string> {
    return this.#require(["kill", ...services], STOP_TIMEOUT_MS);
  }

  /** Removes the containers and networks, and the volumes with what they hold unless `keepVolumes`. */
  async down({ keepVolumes = false } = {}): Promise<string> {
    const volumes = keepVolumes ? [] : ["--volumes"];
    return this.#require(["down", "--remove-orphans", "--timeout", "10", ...volumes], STOP_TIMEOUT_MS);
  }

  async logs(): Promise<string> {
    return this.#require(["logs", "--no-color"], STOP_TIMEOUT_MS);
  }

  #require(argv: readonly string[], timeoutMs: number): Promise<string> {
    return requireDocker(this.#engine, [...this.#arguments, ...argv], timeoutMs);
  }
}
