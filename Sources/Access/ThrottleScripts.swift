// The scripts of the throttle. Each runs as a whole or not at all, and asks Redis for the
// time, so neither parallel attempts nor the clocks of the nodes can stretch a limit (row 37).
//
// A counter is a hash of `n` (attempts), `id` (its window) and a TTL (the rest of the window).
package import Redis

/// The scripts, to be given to the pool, which loads them on every connection.
package enum ThrottleScripts {
    /// KEYS: the counters.
    ///
    /// ARGV: limit and window in milliseconds of each.
    ///
    /// Returns {1, window id...}, or {0, index of the refusing key, milliseconds to wait}. Window
    /// ids are the microsecond a window began, so that a later window never has the same id.
    static let reserve = RedisScript(
        name: "throttle-reserve",
        source: """
            local worst, wait = 0, -1
            for i, key in ipairs(KEYS) do
              local n = tonumber(redis.call('HGET', key, 'n') or '0')
              if n >= tonumber(ARGV[2 * i - 1]) then
                local left = redis.call('PTTL', key)
                if left < 0 then
                  left = tonumber(ARGV[2 * i])
                  redis.call('PEXPIRE', key, left)
                end
                if left > wait then worst, wait = i, left end
              end
            end
            if worst > 0 then return {0, worst, wait} end
            local t = redis.call('TIME')
            local now = t[1] .. string.format('%06d', tonumber(t[2]))
            local out = {1}
            for i, key in ipairs(KEYS) do
              if redis.call('HINCRBY', key, 'n', 1) == 1 then
                redis.call('HSETNX', key, 'id', now)
                if redis.call('PTTL', key) < 0 then redis.call('PEXPIRE', key, ARGV[2 * i]) end
              end
              out[i + 1] = redis.call('HGET', key, 'id')
            end
            return out
            """
    )

    /// KEYS: the counters.
    ///
    /// ARGV: the window each attempt was counted in.
    static let giveBack = RedisScript(
        name: "throttle-give-back",
        source: """
            local given = 0
            for i, key in ipairs(KEYS) do
              local state = redis.call('HMGET', key, 'id', 'n')
              if state[1] == ARGV[i] and tonumber(state[2] or '0') > 0 then
                redis.call('HINCRBY', key, 'n', -1)
                given = given + 1
              end
            end
            return given
            """
    )

    /// KEYS: the counters to forget.
    static let forget = RedisScript(
        name: "throttle-forget",
        source: "return redis.call('DEL', unpack(KEYS))"
    )

    /// All of them.
    package static let all = [reserve, giveBack, forget]
}
