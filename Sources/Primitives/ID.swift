// Typed identifiers: a UUID that knows what it names, so that a session id never passes for an
// account id. New ids are UUIDv7 (RFC 9562 section 5.7): their order is the order of creation,
// which is what lets the tables be partitioned by key.

/// A UUID of one kind of thing, kept as two words; equal and ordered as its 16 bytes are.
package struct ID<Kind>: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The first eight bytes, big endian.
    package let high: UInt64
    /// The last eight bytes, big endian.
    package let low: UInt64

    /// An id from its two words.
    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// A new UUIDv7 made at `now`; 74 of its bits are random.
    ///
    /// Ids are names, never secrets.
    package init(at now: Timestamp, entropy: Entropy) {
        let milliseconds = UInt64(max(0, now.microseconds / 1000))
        high =
            milliseconds << 16 | 0x7000 | UInt64(entropy.next() & 0x0FFF)
        low = 0x8000_0000_0000_0000 | (entropy.next() & 0x3FFF_FFFF_FFFF_FFFF)
    }

    /// Reads 16 bytes; nil for any other number of them.
    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 16 else { return nil }
        var high: UInt64 = 0
        var low: UInt64 = 0
        for (index, byte) in bytes.enumerated() {
            if index < 8 { high = high << 8 | UInt64(byte) } else { low = low << 8 | UInt64(byte) }
        }
        self.init(high: high, low: low)
    }

    /// Reads the 36-character form, either case; nil for anything else (RFC 9562 section 4).
    package init?(_ text: some StringProtocol) {
        var words: (UInt64, UInt64) = (0, 0)
        var digits = 0
        var position = 0
        for byte in text.utf8 {
            let isDash = position == 8 || position == 13 || position == 18 || position == 23
            if isDash {
                guard byte == UInt8(ascii: "-") else { return nil }
            } else {
                guard let value = Hex.value(of: byte), digits < 32 else { return nil }
                if digits < 16 {
                    words.0 = words.0 << 4 | UInt64(value)
                } else {
                    words.1 = words.1 << 4 | UInt64(value)
                }
                digits += 1
            }
            position += 1
        }
        guard position == 36, digits == 32 else { return nil }
        self.init(high: words.0, low: words.1)
    }

    /// The 16 bytes, big endian.
    package var bytes: [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(16)
        for shift in stride(from: 56, through: 0, by: -8) {
            out.append(UInt8(truncatingIfNeeded: high >> UInt64(shift)))
        }
        for shift in stride(from: 56, through: 0, by: -8) {
            out.append(UInt8(truncatingIfNeeded: low >> UInt64(shift)))
        }
        return out
    }

    /// The lower-case 36-character form.
    package var description: String {
        String(unsafeUninitializedCapacity: 36) { out in
            var at = 0
            for (index, byte) in bytes.enumerated() {
                if index == 4 || index == 6 || index == 8 || index == 10 {
                    out[at] = UInt8(ascii: "-")
                    at += 1
                }
                out[at] = Hex.digit(byte >> 4)
                out[at + 1] = Hex.digit(byte & 15)
                at += 2
            }
            return 36
        }
    }

    /// The instant a UUIDv7 carries, in whole milliseconds.
    package var createdAt: Timestamp {
        Timestamp(microseconds: Int64(high >> 16) * 1000)
    }

    package static func < (left: Self, right: Self) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }
}

/// What ids name.
///
/// Cases are never made; they only tell one kind of id from another.
package enum Named {
    /// A person or service that can sign in.
    package enum Account {}
    /// One sign-in, from its first token to its end.
    package enum Session {}
    /// One access token (`jti`).
    package enum Token {}
    /// A role.
    package enum Role {}
    /// A key of the key ring (`kid`).
    package enum Key {}
    /// One row of a journal: audit, login history, outbox.
    package enum Entry {}
    /// One HTTP request.
    package enum Request {}
    /// An organisation that people are members of.
    package enum Organisation {}
    /// A key of a service account.
    package enum APIKey {}
    /// A rule of gateways.
    package enum RouteRule {}
    /// A request that needs a second person.
    package enum Approval {}
}

/// An account.
package typealias AccountID = ID<Named.Account>
/// A session.
package typealias SessionID = ID<Named.Session>
/// An access token (`jti`).
package typealias TokenID = ID<Named.Token>
/// A role.
package typealias RoleID = ID<Named.Role>
/// A key of the ring (`kid`).
package typealias KeyID = ID<Named.Key>
/// A row of a journal.
package typealias EntryID = ID<Named.Entry>
/// A request.
package typealias RequestID = ID<Named.Request>
/// An organisation.
package typealias OrganisationID = ID<Named.Organisation>
/// A key of a service account.
package typealias APIKeyID = ID<Named.APIKey>
/// A rule of gateways.
package typealias RouteRuleID = ID<Named.RouteRule>
/// A request that needs a second person.
package typealias ApprovalID = ID<Named.Approval>
