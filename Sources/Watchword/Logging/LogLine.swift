// One log entry as one line. Pure, so that forging is tested without a process.
import Logging
import Primitives

/// Renders log entries.
enum LogLine {
    private static let deepest = 8

    /// The entry as a line without its newline.
    static func render(
        _ format: LogFormat,
        at time: Timestamp,
        label: String,
        level: Logger.Level,
        message: String,
        error: (any Error)?,
        metadata: Logger.Metadata
    ) -> String {
        switch format {
        case .json:
            var members = [
                ("time", JSONText.string(time.description)),
                ("level", JSONText.string(level.rawValue)),
                ("logger", JSONText.string(label)),
                ("message", JSONText.string(message)),
            ]
            if let error { members.append(("error", JSONText.string("\(error)"))) }
            if !metadata.isEmpty { members.append(("metadata", json(.dictionary(metadata), 0))) }
            return JSONText.object(members)
        case .text:
            var line = time.description.dropFirst(11).prefix(12) + " "
            line += level.rawValue.uppercased() + " " + label + ": " + message
            if let error { line += " error=\(error)" }
            for (name, value) in metadata.sorted(by: { $0.key < $1.key }) {
                line += " \(name)=\(value)"
            }
            return JSONText.plain(String(line))
        }
    }

    private static func json(_ value: Logger.MetadataValue, _ depth: Int) -> String {
        guard depth < deepest else { return JSONText.string("…") }
        switch value {
        case .string(let text): return JSONText.string(text)
        case .stringConvertible(let thing): return JSONText.string("\(thing)")
        case .array(let entries):
            return "[" + entries.map { json($0, depth + 1) }.joined(separator: ",") + "]"
        case .dictionary(let members):
            return JSONText.object(
                members.sorted { $0.key < $1.key }.map { ($0.key, json($0.value, depth + 1)) }
            )
        }
    }
}
