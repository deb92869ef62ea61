// Lists are always paged, by cursor: a page's last key is where the next one starts, so a list that
// grows meanwhile neither repeats nor skips. Cursors are opaque to clients and marked: a list takes
// those alone that it has given out (row 180). Whoever decodes one checks it as any other member.

/// Which part of a list is wanted.
package struct PageRequest: Hashable, Sendable {
    /// The page size when none is named.
    package static let defaultLimit = 50
    /// The largest page.
    package static let maximumLimit = 200

    /// How many items at most, 1 to 200.
    package let limit: Int
    /// Where to go on; nil for the beginning.
    package let cursor: Cursor?

    /// A page of `limit` items, held to 1...200, after `cursor`.
    package init(limit: Int = Self.defaultLimit, cursor: Cursor? = nil) {
        self.limit = min(max(limit, 1), Self.maximumLimit)
        self.cursor = cursor
    }

    /// How many rows to read: one more than the page has tells that another page follows.
    package var rowLimit: Int32 { Int32(limit + 1) }

    /// The id behind which the page begins; the lowest of all where it is the first.
    package func after<Kind>() -> ID<Kind> {
        cursor.flatMap { ID<Kind>(bytes: $0.bytes) } ?? ID(high: 0, low: 0)
    }
}

/// One page of a list.
package struct Page<Item: Sendable>: Sendable {
    /// The items, in the list's order.
    package let items: [Item]
    /// Where the next page starts; nil when this is the last.
    package let nextCursor: Cursor?

    /// A page of `items`.
    package init(_ items: [Item], nextCursor: Cursor?) {
        self.items = items
        self.nextCursor = nextCursor
    }

    /// The page of `rows`, of which `request.rowLimit` were read; `key` is an item's in its cursor.
    package init(_ rows: [Item], of request: PageRequest, key: (Item) -> [UInt8]) {
        items = Array(rows.prefix(request.limit))
        let last = rows.count > request.limit ? items.last : nil
        nextCursor = last.map { Cursor(key($0)) }
    }
}

/// What makes and knows the marks of cursors.
package protocol CursorMarks: Sendable {
    /// The mark of `bytes` in `list`, of `CursorSeal.markLength` bytes.
    func mark(_ bytes: [UInt8], in list: String) -> [UInt8]
    /// Whether a mark is one of `bytes` in `list`.
    func isMark(_ mark: [UInt8], of bytes: [UInt8], in list: String) -> Bool
}

/// The marks of one list's cursors.
package struct CursorSeal: Sendable {
    /// How long a mark is.
    package static let markLength = 16
    /// Those of the list that the current task answers; nil where nobody is shown but the operator,
    /// at a terminal.
    @TaskLocal package static var current: CursorSeal?

    let marks: any CursorMarks
    let list: String

    /// The marks of a list.
    package init(_ marks: any CursorMarks, list: String) {
        self.marks = marks
        self.list = list
    }

    func seal(_ bytes: [UInt8]) -> [UInt8] { bytes + marks.mark(bytes, in: list) }

    func open(_ sealed: [UInt8]) -> [UInt8]? {
        let bytes = Array(sealed.dropLast(Self.markLength))
        let isOurs = marks.isMark(Array(sealed.suffix(Self.markLength)), of: bytes, in: list)
        return isOurs ? bytes : nil
    }
}

/// A place in a list: the key of the last item seen, opaque to clients (base64url).
package struct Cursor: Hashable, Sendable, CustomStringConvertible {
    /// The longest text accepted from a client.
    package static let maximumText = 512

    /// The key, as the list's owner wrote it.
    package let bytes: [UInt8]

    /// A cursor that carries `bytes`.
    package init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Reads the text form; nil for anything but canonical base64url of a sensible length, with the
    /// mark of the list.
    package init?(text: String) {
        guard !text.isEmpty, text.utf8.count <= Self.maximumText,
            let bytes = Base64URL.decode(Array(text.utf8))
        else { return nil }
        guard let seal = CursorSeal.current else {
            self.bytes = bytes
            return
        }
        guard let opened = seal.open(bytes) else { return nil }
        self.bytes = opened
    }

    /// The text form.
    package var description: String {
        Base64URL.encode(CursorSeal.current?.seal(bytes) ?? bytes)
    }
}
