/** `minitail metrics` */

import type { ApiCall } from "./call.ts";
import { readNothing } from "./fields.ts";

export interface MetricSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** One metric as Prometheus has it (prometheus.io/docs/concepts/data_model). */
export interface Metric {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  readonly samples: readonly MetricSample[];
}

export const metricsCall: ApiCall<undefined, { readonly metrics: readonly Metric[] }> = {
  method: "GET",
  path: "/v1/metrics",
  readRequest: readNothing,
};
