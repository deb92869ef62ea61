// The fallback for kernels without AIO: one thread per pool that waits in epoll and tells the
// loops. It costs two thread hops for every wake-up and is otherwise the same.
import CLinux
import NIOPosix
import Synchronization

/// A thread that waits for sockets.
final class EpollThread: Sendable {
    private let epoll: Int32
    private let wake: Int32
    private let thread = NIOThreadPool(numberOfThreads: 1)
    private let reports = Mutex<[UInt64: @Sendable () -> Void]>([:])
    private let nextKey = Atomic<UInt64>(1)
    private let isStopping = Atomic<Bool>(false)

    /// Starts the thread; nil when the kernel gives no descriptors.
    init?() {
        var wake: Int32 = -1
        let epoll = unsafe ww_epoll_open(&wake)
        guard epoll >= 0 else { return nil }
        self.epoll = epoll
        self.wake = wake
        thread.start()
        thread.submit { _ in self.wait() }
    }

    /// Ends the thread, once all sockets have been removed, and waits for its end: after that no
    /// loop hears from it.
    func stop() async {
        isStopping.store(true, ordering: .sequentiallyConsistent)
        ww_epoll_wake(wake)
        await unsafe withUnsafeContinuation { ended in
            thread.shutdownGracefully { _ in unsafe ended.resume() }
        }
        ww_close(epoll)
        ww_close(wake)
    }

    /// A key that was never used before.
    func makeKey() -> UInt64 { nextKey.wrappingAdd(1, ordering: .relaxed).oldValue }

    /// Sets what is called when the socket of `key` is ready.
    func register(_ key: UInt64, _ report: @escaping @Sendable () -> Void) {
        reports.withLock { $0[key] = report }
    }

    /// Asks for one report.
    func arm(_ socket: Int32, _ key: UInt64, _ interest: Int32, isNew: Bool) -> Bool {
        ww_epoll_arm(epoll, socket, key, interest, isNew ? 1 : 0) == 0
    }

    /// Forgets a socket, which must still be open.
    func remove(_ socket: Int32, _ key: UInt64) {
        ww_epoll_remove(epoll, socket)
        reports.withLock { $0[key] = nil }
    }

    private func wait() {
        var keys = [UInt64](repeating: 0, count: 64)
        while !isStopping.load(ordering: .sequentiallyConsistent) {
            let count = unsafe ww_epoll_wait(epoll, &keys, 64)
            guard count >= 0 else { return }
            for key in keys.prefix(Int(count)) where key != 0 {
                reports.withLock { $0[key] }?()
            }
        }
    }
}
