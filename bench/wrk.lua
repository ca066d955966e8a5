-- Prints what wrk saw as one line of JSON, the last one.
function done(summary, latency, requests)
  local e = summary.errors
  local kinds = string.format("%d connect, %d read, %d write, %d status, %d timeout",
    e.connect, e.read, e.write, e.status, e.timeout)
  io.write(string.format(
    '\n{"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, "errors": %d, "kinds": "%s"}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout, kinds))
end
