// `watchword health` against listeners that answer as nodes do, and against nobody.
import Glibc
import Primitives
import Testing

@testable import Watchword

@Suite struct HealthTests {
    /// Answers one request on a port of the kernel's choice with `answer`.
    private struct Listener {
        let descriptor: Int32
        let port: Int

        init() throws {
            descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            let descriptor = descriptor
            let isBound = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, size) == 0 && listen(descriptor, 1) == 0
                        && getsockname(descriptor, $0, &size) == 0
                }
            }
            try #require(isBound)
            port = Int(UInt16(bigEndian: address.sin_port))
        }

        func answer(_ text: String) async -> String {
            let descriptor = descriptor
            return await OwnThread.run("listener") {
                let connection = accept(descriptor, nil, nil)
                defer { close(connection) }
                var bytes = [UInt8](repeating: 0, count: 4096)
                let count = read(connection, &bytes, bytes.count)
                FileIO.writeAll(Array(text.utf8), to: connection)
                return String(decoding: bytes[..<max(count, 0)], as: UTF8.self)
            }
        }
    }

    struct Answer: Sendable, CustomTestStringConvertible {
        let status: String
        let code: Int32
        var testDescription: String { status }
    }

    @Test(arguments: [
        Answer(status: "200 OK", code: 0), Answer(status: "503 Service Unavailable", code: 1),
        Answer(status: "2000 Odd", code: 1),
    ])
    func `the exit code is what the node says`(answer: Answer) async throws {
        let listener = try Listener()
        defer { close(listener.descriptor) }
        async let asked = listener.answer(
            "HTTP/1.1 \(answer.status)\r\nContent-Length: 6\r\n\r\n{\"a\"}\n"
        )
        let (status, text) = try await BuiltBinary.run(
            ["health"],
            [
                "WATCHWORD_MANAGEMENT_PORT": "\(listener.port)",
                "WATCHWORD_MANAGEMENT_HOST": "0.0.0.0",
            ]
        )
        #expect(status == .code(answer.code), "\(text)")
        #expect(text.contains("{\"a\"}") && !text.contains("HTTP"))
        #expect(await asked.hasPrefix("GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:"))
    }

    @Test func `nobody there is not healthy`() async throws {
        let listener = try Listener()
        close(listener.descriptor)
        let (status, text) = try await BuiltBinary.run(
            ["health", "--url", "http://localhost:\(listener.port)"]
        )
        #expect(status == .code(1))
        #expect(text == "Error: Nobody answers on localhost, port \(listener.port).")
    }

    @Test(arguments: ["https://localhost:1", "http://localhost", "http://:1", "http://h:70000"])
    func `a URL it cannot ask is a mistake of the command line`(url: String) async throws {
        #expect(try await BuiltBinary.run(["health", "--url", url]).status == .code(64))
    }
}
