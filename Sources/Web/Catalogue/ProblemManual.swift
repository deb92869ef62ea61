// docs/problems.md: every problem code, what it means, what to do, and which operations answer it.
internal import Primitives

/// Writes the problem manual.
package enum ProblemManual {
    /// The manual for the operations of `catalogue`, as Markdown.
    package static func markdown(_ catalogue: Catalogue) -> String {
        var out = """
            # Problems

            Generated from `ProblemCode` and the operation catalogue; `make regenerate` rewrites it.
            Answers are `application/problem+json` (RFC 9457). Codes are stable; texts are not.

            """
        let shared = Set(ProblemCode.allCases).filter { code in
            catalogue.operations.allSatisfy { $0.problems.contains(code) }
        }
        for code in ProblemCode.allCases {
            out += "\n## \(code.rawValue)\n\n**\(code.status)** \(code.title). \(code.meaning)\n\n"
            out += "*What to do:* \(code.remedy)\n"
            let names = catalogue.operations.filter { $0.problems.contains(code) }.map(\.name)
            if shared.contains(code) {
                out += "\n*Answered by:* every operation.\n"
            } else if !names.isEmpty {
                let list = names.map { "`\($0)`" }.joined(separator: ", ")
                out += "\n*Answered by:* \(list).\n"
            }
        }
        return out
    }
}
