// docs/access.md: every operation and who may call it, from the catalogue; which can be bound to
// networks; and which need a recent sign-in, and why.
internal import HTTPTypes
internal import Primitives

/// Writes the access table.
package enum AccessTable {
    /// The table of `catalogue`, as Markdown.
    package static func markdown(_ catalogue: Catalogue) -> String {
        var out = """
            # Access

            Generated from the operation catalogue; `make regenerate` rewrites it.

            | Operation | Call | Who | Recent sign-in | CSRF token with a cookie | Throttled |
            |---|---|---|---|---|---|

            """
        for info in catalogue.operations {
            let methods: String =
                switch info.methods {
                case .any: "ANY"
                case .only(let list): list.map(\.rawValue).joined(separator: ", ")
                }
            let path = info.pattern.text + (info.pattern.isPrefix ? "[/…]" : "")
            let limits = info.limits.map(\.rawValue).joined(separator: ", ")
            out += "| `\(info.name)` | `\(methods) \(path)` | \(info.gate.title)"
            out += " | \(info.proof == .none ? "–" : "yes")"
            out += " | \(info.needsCSRFToken ? "yes" : "–") | \(limits.isEmpty ? "–" : limits) |\n"
        }
        return out + networks(catalogue) + proofs(catalogue)
    }

    /// What can be bound to networks; empty where nothing can.
    private static func networks(_ catalogue: Catalogue) -> String {
        guard catalogue.operations.contains(where: \.gate.isAdministration) else { return "" }
        return """

            ## Networks, second factor

            Whatever asks for a permission above is answered in `administration.networks` alone,
            where that is set. From elsewhere it is 403 `network-not-allowed`, before the credential
            is looked at. With `administration.second_factor=required` it is for sessions that a
            second factor has opened, and for API keys; else 403 `second-factor-required`.
            `watchword admin` is not asked: [administration](operations/administration.md).

            """
    }

    /// What needs a recent sign-in, by what is at stake; empty where nothing does.
    private static func proofs(_ catalogue: Catalogue) -> String {
        guard catalogue.operations.contains(where: { $0.proof != .none }) else { return "" }
        var out = """

            ## Recent sign-in

            These need a token whose `auth_time` is no older than
            `administration.recent_sign_in` (15 minutes; 0 is off; for what is one's own always 15
            minutes): when its owner last signed in, or replaced his password. A refresh is no
            proof. Else the answer is 403 `recent-sign-in-required` with
            `WWW-Authenticate: Bearer …,
            error="insufficient_user_authentication", max_age="900"` (RFC 9470), and nothing has
            happened. Sign in again (`POST /v1/auth/login`) and repeat the call with the new token.
            API keys pass, and `watchword admin` is not asked. Why:
            [decision 16](decisions/0016-recent-sign-in.md).


            """
        for stake in Stake.allCases {
            let names = catalogue.operations.filter { $0.proof == .recent(stake) }
                .map { "`\($0.name)`" }
            guard !names.isEmpty else { continue }
            out += "- \(stake.sentence) \(names.joined(separator: ", ")).\n"
        }
        return out + """

            Each of them that asks for a permission, but `approvals.give`, can need a second person,
            where `administration.two_people` names it:
            [administration](operations/administration.md#two-people).

            What takes away and can be given again is never among them: disabling one account or an
            organisation, ending sessions, taking a role or a membership, taking back a key. In an
            emergency it must not wait.

            """
    }
}
