/** Metrics as Prometheus reads them (prometheus.io/docs/instrumenting/exposition_formats, version 0.0.4). */

import type { Metric } from "../daemon/calls/metrics.ts";

/** A line each, without the newline at the end of the last. */
export function formatMetrics(metrics: readonly Metric[]): string[] {
  return metrics.flatMap(({ name, type, help, samples }) => [
    `# HELP ${name} ${escaped(help)}`,
    `# TYPE ${name} ${type}`,
    ...samples.map(({ labels, value }) => `${name}${formatLabels(labels)} ${value}`),
  ]);
}

function formatLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value).replaceAll('"', '\\"')}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
