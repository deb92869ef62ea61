// A task executor that runs tasks on an event loop, as the web server's connections do.
import NIOCore
import Primitives

#if canImport(Glibc)
import Glibc
#else
import Musl
#endif

/// Runs the jobs of tasks on `loop`.
final class LoopExecutor: TaskExecutor {
    let loop: any EventLoop

    init(loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

/// The environment of the test run.
enum Environment {
    static func has(_ name: String) -> Bool { getenv(name) != nil }

    /// Writes a line of measurement to standard error.
    static func say(_ text: String) {
        let line = Array((text + "\n").utf8)
        _ = write(2, line, line.count)
    }
}
