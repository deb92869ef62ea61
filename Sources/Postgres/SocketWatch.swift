// Waiting for libpq's socket on an event loop. NIO has no "watch this descriptor", and its channels
// read the bytes themselves; so the kernel's AIO poll reports readiness into an eventfd, which a
// NIO pipe channel may read (spike B1). Where the kernel refuses AIO, a thread with epoll does it.
import CLinux
import NIOCore
import NIOPosix

/// Tells its owner, on the owner's loop, that a socket may be readable or writable.
protocol SocketWatch: AnyObject {
    /// Asks for one report of each kind in `interest` that is not asked for already; false when the
    /// kernel refuses, after which the connection is of no use.
    func arm(_ interest: Int32) -> Bool
    /// Ends all reports. The socket must still be open.
    func close()
}

/// Readiness from the kernel's AIO poll.
@safe final class KernelWatch: SocketWatch {
    private let aio: OpaquePointer
    private let onReady: () -> Void
    private var channel: (any Channel)?
    private var isClosed = false
    private var isBroken = false

    /// Watches `socket`, on the loop only; nil when the kernel refuses.
    init?(_ socket: Int32, on loop: any EventLoop, onReady: @escaping () -> Void) {
        var descriptor: Int32 = -1
        guard let aio = unsafe ww_aio_open(socket, &descriptor) else { return nil }
        unsafe self.aio = aio
        self.onReady = onReady
        let watch = NIOLoopBound(self, eventLoop: loop)
        NIOPipeBootstrap(group: loop)
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(EventHandler(watch.value))
                }
            }
            .takingOwnershipOfDescriptor(input: descriptor)
            .assumeIsolated()
            .whenComplete { [descriptor] in self.opened($0, descriptor) }
    }

    private func opened(_ result: Result<any Channel, any Error>, _ descriptor: Int32) {
        switch result {
        case .success(let channel):
            if isClosed { channel.close(promise: nil) } else { self.channel = channel }
        case .failure:
            ww_close(descriptor)
            // Nothing will ever be reported: the owner learns it when it arms again.
            isBroken = true
            fired()
        }
    }

    fileprivate func fired() {
        guard !isClosed else { return }
        _ = unsafe ww_aio_reap(aio)
        onReady()
    }

    func arm(_ interest: Int32) -> Bool {
        guard !isBroken, !isClosed else { return false }
        return unsafe ww_aio_arm(aio, interest) == 0
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        channel?.close(promise: nil)
        unsafe ww_aio_close(aio)
    }
}

/// Turns a readable eventfd into a report; the count in it says nothing that matters.
private final class EventHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let watch: KernelWatch

    init(_ watch: KernelWatch) { self.watch = watch }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { watch.fired() }
}

/// Readiness from the epoll thread.
final class ThreadWatch: SocketWatch {
    private let thread: EpollThread
    private let key: UInt64
    private let socket: Int32
    private let onReady: () -> Void
    private var isClosed = false
    private var isKnown = false

    /// Watches `socket` with `thread`, on the loop only.
    init(
        _ socket: Int32,
        with thread: EpollThread,
        on loop: any EventLoop,
        onReady: @escaping () -> Void
    ) {
        self.thread = thread
        self.socket = socket
        self.onReady = onReady
        key = thread.makeKey()
        let watch = NIOLoopBound(self, eventLoop: loop)
        thread.register(key) { loop.execute { watch.value.fired() } }
    }

    private func fired() {
        guard !isClosed else { return }
        onReady()
    }

    func arm(_ interest: Int32) -> Bool {
        let armed = thread.arm(socket, key, interest, isNew: !isKnown)
        isKnown = true
        return armed
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        thread.remove(socket, key)
    }
}
