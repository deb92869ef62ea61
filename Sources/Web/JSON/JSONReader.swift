// Reads JSON with jansson, strictly (checklist row 252): duplicate keys, NUL, invalid UTF-8, lone
// surrogates, numbers that overflow and anything after the value are refused. Depth is counted
// before the parser runs, because the parser recurses and a hundred thousand `[` must cost nothing.
// Must not be given more bytes than the caller's body limit; it has no size limit of its own.
internal import CJansson

/// Why a text is not JSON that we read.
package enum JSONRefusal: Error, Hashable, Sendable {
    /// Nested deeper than ``JSONReader/maximumDepth``.
    case tooDeep
    /// The same key twice in one object.
    case duplicateKey
    /// A NUL, written as such or as an escape.
    case nul
    /// Not UTF-8, or a surrogate without its other half.
    case invalidText
    /// A number that neither 64-bit integers nor doubles hold.
    case numberOutOfRange
    /// Any other departure from RFC 8259.
    case malformed
}

/// Turns bytes into a ``JSONValue``.
package enum JSONReader {
    /// The deepest nesting of arrays and objects.
    package static let maximumDepth = 32

    /// Reads one JSON text, at a cost linear in its length.
    package static func read(_ bytes: [UInt8]) throws(JSONRefusal) -> JSONValue {
        try checkDepth(bytes)
        guard isValidUTF8(bytes) else { throw .invalidText }
        var failure = json_error_t()
        let flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY
        let root = bytes.withUnsafeBytes { raw in
            json_loadb(
                raw.baseAddress?.assumingMemoryBound(to: CChar.self),
                raw.count,
                Int(flags),
                &failure
            )
        }
        guard let root else { throw refusal(of: failure) }
        defer { json_decref(root) }
        return try value(of: root)
    }

    /// Counts brackets outside strings; a text that passes nests at most 32 deep.
    private static func checkDepth(_ bytes: [UInt8]) throws(JSONRefusal) {
        var depth = 0
        var inText = false
        var isEscaped = false
        for byte in bytes {
            if byte == 0 { throw .nul }
            if inText {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    inText = false
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): inText = true
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                depth += 1
                if depth > maximumDepth { throw .tooDeep }
            case UInt8(ascii: "]"), UInt8(ascii: "}"): depth -= 1
            default: break
            }
        }
    }

    private static func isValidUTF8(_ bytes: [UInt8]) -> Bool {
        String(validating: bytes, as: UTF8.self) != nil
    }

    private static func refusal(of failure: json_error_t) -> JSONRefusal {
        var failure = failure
        switch json_error_code(&failure) {
        case json_error_duplicate_key: return .duplicateKey
        case json_error_null_character, json_error_null_byte_in_key: return .nul
        case json_error_invalid_utf8: return .invalidText
        case json_error_numeric_overflow: return .numberOutOfRange
        case json_error_stack_overflow: return .tooDeep
        default: return .malformed
        }
    }

    private static func value(
        of json: UnsafeMutablePointer<json_t>
    ) throws(JSONRefusal) -> JSONValue {
        switch json.pointee.type {
        case JSON_NULL: return .null
        case JSON_TRUE: return .boolean(true)
        case JSON_FALSE: return .boolean(false)
        case JSON_INTEGER: return .integer(Int64(json_integer_value(json)))
        case JSON_REAL: return .real(json_real_value(json))
        case JSON_STRING: return .text(try text(json_string_value(json), json_string_length(json)))
        case JSON_ARRAY:
            var items: [JSONValue] = []
            let count = json_array_size(json)
            items.reserveCapacity(count)
            for index in 0..<count {
                guard let item = json_array_get(json, index) else { throw .malformed }
                items.append(try value(of: item))
            }
            return .list(items)
        case JSON_OBJECT:
            var members: [String: JSONValue] = [:]
            var at = json_object_iter(json)
            while let entry = at {
                guard let item = json_object_iter_value(entry) else { throw .malformed }
                let key = try text(json_object_iter_key(entry), json_object_iter_key_len(entry))
                // Swift compares strings by canonical equivalence, so two keys that jansson holds
                // to be different can be one here; they are duplicates too.
                guard members.updateValue(try value(of: item), forKey: key) == nil else {
                    throw .duplicateKey
                }
                at = json_object_iter_next(json, entry)
            }
            return .object(members)
        default: throw .malformed
        }
    }

    private static func text(
        _ start: UnsafePointer<CChar>?,
        _ count: Int
    ) throws(JSONRefusal) -> String {
        guard let start else { throw .malformed }
        let bytes = UnsafeBufferPointer(start: start, count: count)
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .invalidText }
        return text
    }
}
