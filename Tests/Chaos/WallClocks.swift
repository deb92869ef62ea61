// The wall clocks of the nodes, each of which can be stepped alone. A library that is loaded before
// the C library adds an offset from a mapped file to CLOCK_REALTIME and leaves the monotonic clocks
// as they are. (libfaketime cannot be used: it moves the environment, by which Swift programs find
// their arguments.)
import Glibc
import TestKit

/// A wall clock for each node.
final class WallClocks: @unchecked Sendable {
    // Sendable: the offsets are single words that only `step` writes.
    private let folder: String
    private let offsets: [UnsafeMutablePointer<Int>]

    /// Clocks that are right, with their files in `folder`.
    init(_ count: Int, in folder: String) throws {
        self.folder = folder
        try PrivateFolder.write(Self.source, to: "\(folder)/clock.c")
        let words = [
            "cc", "-O1", "-shared", "-fPIC", "-o", "\(folder)/clock.so", "\(folder)/clock.c",
        ]
        let log = "\(folder)/clock.log"
        guard try ChildProcess.launch(words, log: log).wait() == 0 else {
            throw ChaosError("cc: \(PrivateFolder.read(log))")
        }
        offsets = try (0..<count).map { try Self.map("\(folder)/clock\($0)") }
    }

    deinit { for offset in offsets { munmap(offset, MemoryLayout<Int>.size) } }

    /// What the environment of a node needs.
    func variables(of node: Int) -> [String: String] {
        ["LD_PRELOAD": "\(folder)/clock.so", "CHAOS_CLOCK": "\(folder)/clock\(node)"]
    }

    /// Sets a clock to so many seconds after the right time.
    func step(_ node: Int, to seconds: Int) { offsets[node].pointee = seconds }

    private static func map(_ path: String) throws -> UnsafeMutablePointer<Int> {
        let size = MemoryLayout<Int>.size
        try PrivateFolder.write(String(repeating: "\0", count: size), to: path)
        let descriptor = open(path, O_RDWR | O_CLOEXEC)
        defer { close(descriptor) }
        let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        guard let memory, memory != MAP_FAILED else { throw ChaosError("mmap \(path)") }
        return memory.assumingMemoryBound(to: Int.self)
    }

    private static let source = """
        #define _GNU_SOURCE
        #include <fcntl.h>
        #include <stdlib.h>
        #include <sys/mman.h>
        #include <sys/syscall.h>
        #include <time.h>
        #include <unistd.h>
        static volatile long *offset;
        __attribute__((constructor)) static void start(void) {
            const char *path = getenv("CHAOS_CLOCK");
            int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
            if (file < 0) return;
            void *memory = mmap(0, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
            if (memory != MAP_FAILED) offset = memory;
            close(file);
        }
        int clock_gettime(clockid_t clock, struct timespec *time) {
            int result = syscall(SYS_clock_gettime, clock, time);
            if (result == 0 && clock == CLOCK_REALTIME && offset) time->tv_sec += *offset;
            return result;
        }
        """
}
