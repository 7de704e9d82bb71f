/** What `minitail metrics` shows: counters of this process, and what there is now. */

import { boottimeMs } from "bun-ffi-tun";
import { VERSION } from "../base/version.ts";
import type { HealthItem } from "./api.ts";
import type { Metric, MetricSample } from "./calls/metrics.ts";
import type { RunningNode } from "./running-node.ts";

type Labels = MetricSample["labels"];

export function makeMetrics(node: RunningNode, health: readonly HealthItem[]): Metric[] {
  return [
    gauge("minitail_info", "the version that runs", 1, { version: VERSION }),
    metric(
      "gauge",
      "minitail_health",
      "1 for each thing that is not as it should be",
      health.map(({ code }) => sample(1, { code })),
    ),
    ...tailnetMetrics(node),
    ...peerMetrics(node),
    ...dataPlaneMetrics(node),
    ...servedRegistryMetrics(node),
  ];
}

function tailnetMetrics({ parts }: RunningNode): Metric[] {
  const { tailnet, registry } = parts.membership;
  return [
    counter("minitail_registry_commands_total", "commands sent to the registry", registry.commandsSent),
    gauge("minitail_registry_connected", "1 while the registry's channel is listened to", Number(tailnet.connected)),
    gauge(
      "minitail_registry_last_sync_timestamp_seconds",
      "when the registry was last read completely, 0 for never",
      (tailnet.lastSyncAtMs ?? 0) / 1000,
    ),
    gauge("minitail_chain_statements", "statements of the signed chain", tailnet.chain.statements.length),
    gauge("minitail_members", "machines of the tailnet, this one included", tailnet.state.members.size),
  ];
}

function peerMetrics({ parts }: RunningNode): Metric[] {
  const { mesh, tunnel } = parts;
  const peers = mesh.peers().flatMap(({ node, tunnelPeer }) => {
    if (!tunnelPeer) return [];
    const { slot, lastHandshakeMs } = tunnelPeer;
    const handshakeAgeSeconds = lastHandshakeMs === undefined ? undefined : (boottimeMs() - lastHandshakeMs) / 1000;
    return [{ labels: { peer: node.name, id: node.id }, traffic: tunnel.traffic(slot), handshakeAgeSeconds }];
  });
  const perPeer = (name: string, help: string, countOf: (traffic: (typeof peers)[number]["traffic"]) => number) =>
    metric(
      "counter",
      name,
      help,
      peers.map(({ labels, traffic }) => sample(countOf(traffic), labels)),
    );
  return [
    perPeer("minitail_peer_transmit_bytes_total", "bytes sent to the peer", ({ txBytes }) => txBytes),
    perPeer("minitail_peer_receive_bytes_total", "bytes that came from the peer", ({ rxBytes }) => rxBytes),
    perPeer("minitail_peer_transmit_packets_total", "packets sent to the peer", ({ txPackets }) => txPackets),
    perPeer("minitail_peer_receive_packets_total", "packets that came from the peer", ({ rxPackets }) => rxPackets),
    metric(
      "gauge",
      "minitail_peer_last_handshake_age_seconds",
      "how long ago a session with the peer was last agreed on; none before the first",
      peers.flatMap(({ labels, handshakeAgeSeconds }) =>
        handshakeAgeSeconds === undefined ? [] : [sample(handshakeAgeSeconds, labels)],
      ),
    ),
  ];
}

function dataPlaneMetrics({ parts }: RunningNode): Metric[] {
  const { tunnel } = parts;
  return [
    byReason("minitail_handshakes_dropped_total", "handshake messages that were dropped", tunnel.handshakeDrops()),
    byReason("minitail_dataplane_events_total", "what the data plane counted", tunnel.counters(), "event"),
  ];
}

/** Of the registry that this machine serves; none elsewhere. */
function servedRegistryMetrics({ parts }: RunningNode): Metric[] {
  const { embedded } = parts.membership;
  if (!embedded) return [];
  const served = embedded.statistics();
  const { refusedByToken, refusedByRate, refusedBusy, refusedByLimit } = served;
  return [
    counter("minitail_registry_served_requests_total", "requests to the registry served here", served.requests),
    counter("minitail_registry_served_commands_total", "commands in them", served.commands),
    byReason("minitail_registry_served_refused_total", "what was refused of them", {
      token: refusedByToken,
      rate: refusedByRate,
      busy: refusedBusy,
      limit: refusedByLimit,
      connections: served.refusedConnections,
    }),
    counter("minitail_registry_served_failed_total", "requests whose data could not be read or written", served.failed),
    counter("minitail_registry_served_receive_bytes_total", "bytes of requests", served.bytesReceived),
    counter("minitail_registry_served_transmit_bytes_total", "bytes of answers", served.bytesSent),
    gauge("minitail_registry_served_connections", "connections to its port now", served.connections),
    gauge("minitail_registry_served_subscribers", "who listens to its channels now", served.subscribers),
    gauge("minitail_registry_served_keys", "keys that it holds", served.keys),
    gauge("minitail_registry_served_data_bytes", "size of its data", served.dataBytes),
  ];
}

function byReason(name: string, help: string, counts: Readonly<Record<string, number>>, label = "reason"): Metric {
  return metric(
    "counter",
    name,
    help,
    Object.entries(counts).map(([reason, count]) => sample(count, { [label]: reason })),
  );
}

function counter(name: string, help: string, value: number): Metric {
  return metric("counter", name, help, [sample(value)]);
}

function gauge(name: string, help: string, value: number, labels: Labels = {}): Metric {
  return metric("gauge", name, help, [sample(value, labels)]);
}

function metric(type: Metric["type"], name: string, help: string, samples: readonly MetricSample[]): Metric {
  return { name, type, help, samples };
}

function sample(value: number, labels: Labels = {}): MetricSample {
  return { labels, value };
}
