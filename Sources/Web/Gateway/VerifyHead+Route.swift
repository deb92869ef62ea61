// What route rules are asked about, from a head as the fast path reads it. It must give what the
// general path gives from the same bytes, or nothing: then the general path says why.
internal import Access

extension RouteQuestion {
    /// Reads the original request of `head`, which lies at the start of `bytes`.
    ///
    /// - Parameter hosts: names that were read before, by their bytes.
    init?(
        _ head: VerifyHead,
        _ bytes: UnsafeRawBufferPointer,
        _ source: OriginalRequestSource,
        _ hosts: inout ByteCache<String>
    ) {
        let place: (method: Range<Int>, target: Range<Int>, host: Range<Int>)
        switch source {
        case .requestLine:
            place = (head.method, head.path.dropFirst("/verify".utf8.count), head.host)
        case .forwarded:
            let family = head.forwarded
            guard family.methods == 1, family.locations == 1, family.hosts == 1 else { return nil }
            place = (family.method, family.location, family.host)
        case .original:
            let family = head.original
            guard family.methods == 1, family.locations == 1 else { return nil }
            place = (family.method, family.location, head.host)
        case .auto: return nil
        }
        func slice(_ range: Range<Int>) -> UnsafeRawBufferPointer {
            UnsafeRawBufferPointer(rebasing: bytes[range])
        }
        let method = String(decoding: slice(place.method), as: UTF8.self)
        guard RouteDefinition.isMethod(method),
            let host = Self.host(slice(place.host), &hosts),
            let path = RoutePath(slice(place.target))
        else { return nil }
        self.init(method: method, host: host, path: path)
    }

    private static func host(
        _ bytes: UnsafeRawBufferPointer,
        _ hosts: inout ByteCache<String>
    ) -> String? {
        if let known = hosts.find(bytes) { return known }
        guard let read = RouteHost.read(String(decoding: bytes, as: UTF8.self)) else { return nil }
        hosts.insert(read, for: Array(bytes))
        return read
    }
}
