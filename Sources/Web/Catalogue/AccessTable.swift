// docs/access.md: every operation and who may call it, from the catalogue.
internal import HTTPTypes
internal import Primitives

/// Writes the access table.
package enum AccessTable {
    /// The table of `catalogue`, as Markdown.
    package static func markdown(_ catalogue: Catalogue) -> String {
        var out = """
            # Access

            Generated from the operation catalogue; `make regenerate` rewrites it.

            | Operation | Call | Who | CSRF token with a cookie | Throttled |
            |---|---|---|---|---|

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
            out += " | \(info.needsCSRFToken ? "yes" : "–") | \(limits.isEmpty ? "–" : limits) |\n"
        }
        return out
    }
}
