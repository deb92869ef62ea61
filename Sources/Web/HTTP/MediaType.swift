// Which bodies are read as what. A form or text that happens to be JSON is not JSON: browsers send
// those across sites without asking first (row 147). Compressed bodies are refused (row 264).
package import HTTPTypes
internal import Primitives

/// Checks `Content-Type` and `Content-Encoding`.
package enum MediaType {
    /// Refuses a body that is not `wanted`, in UTF-8, uncompressed.
    ///
    /// - Throws: `unsupported-media-type`.
    package static func require(_ wanted: String, _ headers: HTTPFields) throws(WebRefusal) {
        guard !headers.contains(.contentEncoding) else {
            throw WebRefusal(.unsupportedMediaType, "Compressed bodies are not read.")
        }
        let fields = headers[values: .contentType]
        guard fields.count == 1, matches(fields[0], wanted) else {
            throw WebRefusal(.unsupportedMediaType, "The Content-Type must be \(wanted).")
        }
    }

    private static func matches(_ field: String, _ wanted: String) -> Bool {
        let parts = field.lowercased().split(separator: ";", omittingEmptySubsequences: false)
            .map { $0.filter { $0 != " " && $0 != "\t" } }
        guard parts[0] == wanted else { return false }
        guard parts.count > 1 else { return true }
        return parts.count == 2
            && ["charset=utf-8", "charset=\"utf-8\""].contains(parts[1])
    }
}
