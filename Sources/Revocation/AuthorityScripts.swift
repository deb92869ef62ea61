// What is kept in a member, and the scripts that write it (revocation.md 1.4). `rv:head` is
// "<token>:<position>"; `rv:log` is a stream whose ids are dense: 1-0, 2-0, 3-0.
import Primitives
import Redis

/// Keys and scripts of a member.
enum AuthorityScripts {
    static let head = "rv:head"
    static let log = "rv:log"

    /// Who answers: its `run_id` and its `master_replid`.
    private static let identify: String = {
        #if DEBUG
        if Mutant.active == .strangerMember { return "local run, past = ARGV[2], ARGV[3]" }
        #endif
        return """
            local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
            local past = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
            """
    }()

    /// Appends entries under the token; refuses where the token is not there, or where this is not
    /// the process that was adopted, with its history.
    ///
    /// Another one may have both name and token, from a snapshot: those who are still connected to
    /// the process that was adopted would not hear of what it takes (H4).
    static let publish = RedisScript(
        name: "authority.publish",
        source: """
            local h = redis.call('GET', KEYS[1])
            if not h then return redis.error_reply('NOTINIT no head') end
            local i = string.find(h, ':', 1, true)
            if string.sub(h, 1, i - 1) ~= ARGV[1] then
                return redis.error_reply('WRONGTOK another token')
            end
            \(identify)
            if run ~= ARGV[2] or past ~= ARGV[3] then
                return redis.error_reply('STRANGER not the process that was adopted')
            end
            local p = tonumber(string.sub(h, i + 1))
            for k = 4, #ARGV do
                p = p + 1
                redis.call('XADD', KEYS[2], 'MAXLEN', '~', 1200000,
                    string.format('%.0f', p) .. '-0', 'e', ARGV[k])
            end
            redis.call('SET', KEYS[1], ARGV[1] .. ':' .. string.format('%.0f', p))
            return p
            """
    )

    /// Takes the token away; afterwards it is provably not there.
    ///
    /// Only the process that was adopted can vouch for that: the name of a member may lead to
    /// another server from here than from the nodes that read it, and that one may have the token
    /// from a snapshot. It loses it too, but that proves nothing.
    static let fence = RedisScript(
        name: "authority.fence",
        source: """
            local h = redis.call('GET', KEYS[1])
            if h and string.sub(h, 1, #ARGV[1] + 1) == ARGV[1] .. ':' then
                redis.call('DEL', KEYS[1])
            end
            \(identify)
            if run ~= ARGV[2] then
                return redis.error_reply('STRANGER not the process that was adopted')
            end
            return 1
            """
    )

    static let all = [publish, fence]
}
