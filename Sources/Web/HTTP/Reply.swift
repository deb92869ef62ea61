// A finished answer, before the pipeline adds what every answer carries.
package import HTTPTypes

/// A status, fields and a body.
package struct Reply: Sendable {
    /// The status.
    package var status: HTTPResponse.Status
    /// The fields; security headers, date, length and request id are added later.
    package var headers: HTTPFields
    /// The body.
    package var body: [UInt8]
    /// Whether the connection ends with this answer.
    package var closesConnection = false

    /// An answer.
    package init(_ status: Int, headers: HTTPFields = [:], body: [UInt8] = []) {
        self.status = HTTPResponse.Status(code: status)
        self.headers = headers
        self.body = body
    }

    /// An answer with a body of `contentType`, which names its charset where it is text.
    package init(_ status: Int, contentType: String, body: [UInt8]) {
        self.init(status, headers: [.contentType: contentType], body: body)
    }

    /// A JSON answer.
    package static func json(_ status: Int, _ body: [UInt8]) -> Self {
        Self(status, contentType: "application/json; charset=utf-8", body: body)
    }

    /// Plain text.
    package static func text(_ status: Int, _ text: String) -> Self {
        Self(status, contentType: "text/plain; charset=utf-8", body: Array(text.utf8))
    }

    /// Adds cookies, one field each.
    package mutating func set(_ cookies: [SetCookie]) {
        for cookie in cookies {
            headers.append(HTTPField(name: .setCookie, value: cookie.field))
        }
    }
}
