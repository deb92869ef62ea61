// TLS of the listener's own: what version it speaks, and that the pipeline behind it is the same.
import NIOCore
import NIOPosix
import NIOSSL
import Primitives
import Testing
import Web

#if canImport(Glibc)
import Glibc
#endif

@Suite struct TLSTests {
    /// A throw-away certificate for localhost, made by openssl in `folder`.
    private func makeFiles(in folder: String) throws -> TLSFiles {
        let files = TLSFiles(certificateChain: "\(folder)/c.pem", privateKey: "\(folder)/k.pem")
        let command =
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1"
            + " -subj /CN=localhost -keyout \(files.privateKey) -out \(files.certificateChain)"
            + " 2>/dev/null"
        try #require(system(command) == 0)
        return files
    }

    private func ask(_ port: Int, newest: TLSVersion?) async throws -> String {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        configuration.minimumTLSVersion = .tlsv1
        configuration.maximumTLSVersion = newest
        let context = try NIOSSLContext(configuration: configuration)
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        NIOSSLClientHandler(context: context, serverHostname: nil)
                    )
                    return try NIOAsyncChannel<ByteBuffer, ByteBuffer>(
                        wrappingChannelSynchronously: channel
                    )
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            let request = "GET /verify HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            try await outbound.write(ByteBuffer(string: request))
            return try await RawClient(inbound, outbound).readToEnd()
        }
    }

    @Test func `TLS 1.2 and 1.3 are spoken and nothing older`() async throws {
        var template = Array("/tmp/watchword-tls-XXXXXX".utf8CString)
        let folder = try #require(mkdtemp(&template).map { String(cString: $0) })
        defer { system("rm -r \(folder)") }
        let files = try makeFiles(in: folder)
        let useTLS = { (settings: inout HTTPSettings) in settings.tls = files }
        try await withServer(routes: SampleAPI.routes, change: useTLS) { server in
            for newest in [TLSVersion.tlsv12, .tlsv13] {
                let text = try await ask(server.port, newest: newest)
                #expect(try RawAnswer.only(text).status == 200)
            }
            await #expect(throws: (any Error).self) {
                _ = try RawAnswer.only(try await ask(server.port, newest: .tlsv11))
            }
        }
    }
}
