// Threads of our own for work that blocks: waiting for a process, reading a pipe, connecting. The
// cooperative pool is never held up by it (W8). Meant for a handful of threads, not for requests.
import CLinux
import Glibc

/// Starts threads that belong to nobody else.
enum OwnThread {
    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// Starts a thread named `name` (the kernel keeps 15 bytes) that runs `body` and ends.
    static func start(_ name: String, _ body: @escaping @Sendable () -> Void) {
        let box = Unmanaged.passRetained(
            Body {
                ww_name_thread(name)
                body()
            }
        )
        var thread = pthread_t()
        let error = pthread_create(
            &thread,
            nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            },
            box.toOpaque()
        )
        precondition(error == 0, "no thread could be created: errno \(error)")
        pthread_detach(thread)
    }

    /// Runs `body`, which may block, on a thread of its own and waits for its result.
    static func run<Value: Sendable>(
        _ name: String,
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            start(name) { continuation.resume(with: Result(catching: body)) }
        }
    }

    /// Runs `body`, which may block but cannot fail, on a thread of its own.
    static func run<Value: Sendable>(
        _ name: String,
        _ body: @escaping @Sendable () -> Value
    ) async -> Value {
        await withCheckedContinuation { continuation in
            start(name) { continuation.resume(returning: body()) }
        }
    }
}
