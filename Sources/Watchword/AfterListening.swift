// A node must not say that it is ready before somebody can connect to it: services begin side by
// side, so the management listener waits until the public one takes connections.
import ServiceLifecycle
import Synchronization

/// Whether the public listener takes connections.
final class PublicListener: Sendable {
    private let isOpen = Atomic<Bool>(false)

    /// It does from now on.
    func open() { isOpen.store(true, ordering: .releasing) }

    /// Returns when it does; looks every few milliseconds, at the start of a node alone.
    func wait() async throws {
        while !isOpen.load(ordering: .acquiring) { try await Task.sleep(for: .milliseconds(2)) }
    }
}

/// A service that begins when the public listener is open.
struct AfterListening: Service {
    let listener: PublicListener
    let service: any Service

    func run() async throws {
        try await listener.wait()
        try await service.run()
    }
}
