// Values that must never be shown. The type has no description worth stealing, so that a log line,
// an error or a crash that interpolates it says nothing (W7).

/// Bytes that print as dots.
package struct Secret: Sendable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    /// The bytes themselves; say why wherever this is read.
    package let exposed: [UInt8]

    /// A secret of these bytes.
    package init(_ bytes: [UInt8]) { exposed = bytes }

    /// A secret of the UTF-8 of `text`.
    package init(_ text: String) { exposed = Array(text.utf8) }

    package var description: String { "••••" }
    package var debugDescription: String { "••••" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// Whether two byte strings are equal, in time that depends only on their lengths (row 30).
package func constantTimeEqual(
    _ left: some Collection<UInt8>,
    _ right: some Collection<UInt8>
) -> Bool {
    left.withBlock { left in
        right.withBlock { right in
            guard left.count == right.count else { return false }
            var difference: UInt8 = 0
            for index in 0..<left.count { difference |= left[index] ^ right[index] }
            return difference == 0
        }
    }
}
