// Reads what a member answers. Everything unexpected reads as no answer, or as a fact that could
// not be read; nothing is guessed (W10).
import Redis

/// Readers of replies.
enum MemberReply {
    private static let questionCount = 4

    /// The replies to a poll; nil where one of them cannot be read.
    static func read(
        _ exchange: RedisExchange,
        for order: AuthorityCore.Order
    )
        -> AuthorityCore.Reply?
    {
        let isChecked = !order.checked.contains(exchange.connection)
        let rest = exchange.replies.dropFirst(isChecked ? questionCount : 0)
        var values: [RedisValue] = []
        for reply in rest {
            guard case .success(let value) = reply else { return nil }
            values.append(value)
        }
        guard values.count == (order.after == nil ? 2 : 4), let echo = values[0].text,
            echo.hasPrefix("b")
        else { return nil }
        let head = head(values[1])
        if head == nil, values[1] != .null { return nil }
        var entries: [(position: UInt64, entry: RevocationEntry?)] = []
        if values.count == 4 {
            // An adoption between the head and the log would show the old token and a new log. A
            // token that is gone never comes back, so one that is still there was there all along.
            guard let items = values[2].array, Self.head(values[3])?.token == head?.token else {
                return nil
            }
            for item in items {
                guard let entry = Self.entry(item) else { return nil }
                entries.append(entry)
            }
        }
        return AuthorityCore.Reply(
            connection: exchange.connection,
            echo: AuthorityCore.Batch(echo.dropFirst()),
            finding: isChecked ? finding(exchange.replies) : nil,
            token: head?.token,
            position: head?.position ?? 0,
            entries: entries,
            isCut: entries.count >= AuthorityMembers.chunk
        )
    }

    /// What the first four replies say of a Redis.
    static func finding(_ replies: [Result<RedisValue, RedisError>]) -> MemberFinding {
        func setting(_ index: Int) -> String? {
            guard case .success(let value) = replies[index], let pair = value.array,
                pair.count == 2
            else { return nil }
            return pair[1].text
        }
        guard replies.count >= questionCount else { return .unfit(.unreadable("INFO")) }
        var info: String?
        if case .success(let value) = replies[0] { info = value.text }
        return MemberFacts(
            info: info,
            save: setting(1),
            appendOnly: setting(2),
            policy: setting(3)
        ).finding
    }

    /// "<token>:<position>".
    static func head(_ value: RedisValue) -> (token: MemberToken, position: UInt64)? {
        guard let text = value.text, let colon = text.lastIndex(of: ":"),
            let position = UInt64(text[text.index(after: colon)...])
        else { return nil }
        return (MemberToken(text: String(text[..<colon])), position)
    }

    /// One item of the stream: its id and its one field.
    private static func entry(_ item: RedisValue) -> (position: UInt64, entry: RevocationEntry?)? {
        guard let parts = item.array, parts.count == 2, let id = parts[0].text,
            id.hasSuffix("-0"), let position = UInt64(id.dropLast(2)),
            let fields = parts[1].array, fields.count == 2, let bytes = fields[1].bytes
        else { return nil }
        return (position, RevocationEntry(packed: bytes[...]))
    }
}
