-- wrk's own figures, as one line of JSON.
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'JSON {"requests":%d,"bytes":%d,"micros":%d,"refused":%d,"broken":%d,"timeouts":%d,"latency":[%f,%f,%f,%f,%f]}\n',
    summary.requests, summary.bytes, summary.duration, errors.status, errors.connect + errors.read + errors.write, errors.timeout,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency:percentile(99.9), latency.max))
end
