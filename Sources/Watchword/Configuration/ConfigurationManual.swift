// The manual of the settings and the list of values in effect, both written from the declarations.
import Primitives

/// Writes what `docs/configuration.md` and `watchword describe config` show.
enum ConfigurationManual {
    /// The text of `docs/configuration.md`.
    static func markdown(_ declarations: [SettingDeclaration]) -> String {
        var out = """
            # Configuration

            Generated from the declarations; do not edit.

            Defaults < file (JSON, `--config FILE` or `WATCHWORD_CONFIG`) < variables < \
            `--set name=value`. In the file a dot is a level: `{"http": {"port": 8080}}`. A name \
            that is not listed here stops the start. Secrets and URLs may also come from a file: \
            `<variable>_FILE` holds its path. Secrets never come from flags. Durations are \
            written `500ms`, `10s`, `15m`, `12h`, `14d` or as plain seconds, sizes `512B`, \
            `64KiB`, `10MiB` or as plain bytes.

            | Name | Variable | Type | Default | Limits | |
            |---|---|---|---|---|---|

            """
        for one in declarations {
            let standard = one.defaultText.map { "`\($0)`" } ?? "–"
            out += "| `\(one.name)` | `\(one.variable)` | \(one.kind.word) | \(standard) | "
            out += "\(one.limits ?? "–") | \(one.help) |\n"
        }
        return out
    }

    /// The values in effect, aligned for people.
    static func text(_ declarations: [SettingDeclaration]) -> String {
        let names = declarations.map(\.name.count).max() ?? 0
        let origins = SettingOrigin.allCases.map(\.rawValue.count).max() ?? 0
        return declarations.map { one in
            let origin = one.origin.rawValue
            return one.name + String(repeating: " ", count: names - one.name.count + 2) + origin
                + String(repeating: " ", count: origins - origin.count + 2)
                + (one.shown.isEmpty ? "(not set)" : one.shown)
        }.joined(separator: "\n")
    }

    /// The values in effect, for programs.
    static func json(_ declarations: [SettingDeclaration]) -> String {
        let entries = declarations.map { one in
            JSONText.object([
                ("name", JSONText.string(one.name)), ("variable", JSONText.string(one.variable)),
                ("type", JSONText.string(one.kind.word)),
                ("value", one.shown.isEmpty ? "null" : JSONText.string(one.shown)),
                ("default", one.defaultText.map(JSONText.string) ?? "null"),
                ("origin", JSONText.string(one.origin.rawValue)),
            ])
        }
        return "{\"settings\":[\(entries.joined(separator: ","))]}"
    }
}
