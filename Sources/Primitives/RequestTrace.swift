// Where a change came from: what journals keep of the request that caused it.

/// The request behind a change.
///
/// Address and user agent are recorded and shown, never used to refuse (S0-T8); where
/// administration is answered is decided at its gates, before there is a trace.
package struct RequestTrace: Sendable {
    /// The request.
    package let requestID: RequestID
    /// When it was received; the `now` of everything it does.
    package let now: Timestamp
    /// The client's address, taken from the socket or a trusted proxy.
    package let address: String
    /// The client's `User-Agent`, trimmed; empty where there was none (S4-T13).
    package let userAgent: String

    /// The trace of a request.
    package init(requestID: RequestID, now: Timestamp, address: String, userAgent: String) {
        self.requestID = requestID
        self.now = now
        self.address = address
        self.userAgent = userAgent
    }
}
