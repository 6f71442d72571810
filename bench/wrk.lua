-- wrk's own figures, as one line of JSON.
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'JSON {"requests":%d,"bytes":%d,"micros":%d,"refused":%d,"broken":%d,"timeouts":%d,"latency":[%f,%f,%f,%f,%f]}\n',
    summary.requests, summary.bytes, summary.duration, errors.status, errors.connect + errors.read + errors.write, errors.timeout,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency:percentile(99.9), latency.max))
end

-- With a number of tags: each in turn, in an order that is not theirs, made before the load.
function init(args)
  local tags = tonumber(args[1])
  if not tags then return end
  local made, next = {}, 0
  for index = 0, tags - 1 do
    made[index] = wrk.format(nil, (wrk.path:gsub('%*', string.format('%07d', index))))
  end
  function request()
    next = (next + 7919) % tags
    return made[next]
  end
end
