-- The figures of a run as one line of JSON; the other scripts load it.
function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '{"count":%d,"rate":%.2f,"failures":%d,"p50_ms":%.3f,"p99_ms":%.3f,"max_ms":%.3f}\n',
        summary.requests,
        summary.requests / (summary.duration / 1e6),
        errors.connect + errors.read + errors.write + errors.status + errors.timeout,
        latency:percentile(50) / 1000,
        latency:percentile(99) / 1000,
        latency.max / 1000
    ))
end
