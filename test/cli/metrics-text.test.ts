/** Metrics as the text that Prometheus reads. */

import { expect, test } from "bun:test";
import { formatMetrics } from "../../src/cli/metrics-text.ts";

test("a metric is its help, its type and a line for each sample, with what would break a line escaped", () => {
  const lines = formatMetrics([
    { name: "minitail_members", type: "gauge", help: "machines", samples: [{ labels: {}, value: 3 }] },
    {
      name: "minitail_peer_bytes_total",
      type: "counter",
      help: "bytes \\ and\nlines",
      samples: [
        { labels: { peer: 'a"b', id: "c\\d\n" }, value: 1.5 },
        { labels: { peer: "e", id: "f" }, value: 0 },
      ],
    },
    { name: "minitail_health", type: "gauge", help: "none", samples: [] },
  ]);
  expect(lines).toEqual([
    "# HELP minitail_members machines",
    "# TYPE minitail_members gauge",
    "minitail_members 3",
    "# HELP minitail_peer_bytes_total bytes \\\\ and\\nlines",
    "# TYPE minitail_peer_bytes_total counter",
    'minitail_peer_bytes_total{peer="a\\"b",id="c\\\\d\\n"} 1.5',
    'minitail_peer_bytes_total{peer="e",id="f"} 0',
    "# HELP minitail_health none",
    "# TYPE minitail_health gauge",
  ]);
});
