// A primary and its streaming standby, real ones, and what may befall them: crash, promotion,
// rebuilding the loser as the new standby. A watchdog shell stops both and removes their folder
// when this process ends, however it ends.
import ChaosKit
import Glibc
import Primitives
import Synchronization
import TestKit

/// What could not be done.
struct ChaosError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Two PostgreSQL servers; `primary` names the one that takes writes.
final class Database: Sendable {
    private let folder: String
    private let pipe: Int32
    /// The ports of the two.
    let ports: [Int]
    private let current = Atomic<Int>(0)

    /// Which of the two is the primary.
    var primary: Int { current.load(ordering: .acquiring) }

    /// Starts both.
    ///
    /// With `isSynchronous` a commit waits for the standby (A1 holds).
    init(isSynchronous: Bool, ports: [Int]) throws {
        self.ports = ports
        let started = try Watchdog.start(script: Self.watchdog, arguments: [])
        pipe = started.pipe
        guard started.line.hasPrefix("/") else { throw ChaosError("PostgreSQL: \(started.line)") }
        folder = started.line
        try run("init 0 \(ports[0]) \(isSynchronous ? "on" : "off")")
        try run("rebuild 1 \(ports[1]) \(ports[0])")
        if isSynchronous {
            try sql("ALTER SYSTEM SET synchronous_standby_names = '*'", reload: true)
        }
    }

    deinit { close(pipe) }

    /// The processes of the primary besides the postmaster, by what they call themselves.
    func processes(of server: Int? = nil) -> [(id: Int32, title: String)] {
        guard let master = postmaster(server ?? primary) else { return [] }
        return readFile("/proc/\(master)/task/\(master)/children").split(separator: " ")
            .compactMap { word in
                Int32(word).map { ($0, readFile("/proc/\($0)/cmdline").prefix { $0 != "\0" }) }
            }.map { ($0.0, String($0.1)) }
    }

    /// The processes that serve a client of the primary.
    var backends: [Int32] {
        processes().filter { $0.title.contains("127.0.0.1(") && !$0.title.contains("walsender") }
            .map(\.id)
    }

    /// The postmaster of a server, if it runs.
    func postmaster(_ server: Int) -> Int32? {
        let text = readFile("\(folder)/\(server)/postmaster.pid").prefix { $0 != "\n" }
        return Int32(String(text))
    }

    /// Kills the primary as a power cut of its machine would, and starts it again.
    func crash() throws {
        cutPower()
        try run("start \(primary) \(ports[primary])")
    }

    private func cutPower() {
        guard let master = postmaster(primary) else { return }
        let children = processes().map(\.id)
        kill(master, SIGKILL)
        for child in children { kill(child, SIGKILL) }
    }

    /// Stops the primary for good, promotes the standby, and rebuilds the loser as its standby.
    ///
    /// Returns when the old one was gone.
    func failOver(isSynchronous: Bool) throws -> Int64 {
        let (old, new) = (primary, 1 - primary)
        if isSynchronous {
            try run("fence \(old)")
        } else {
            // What it has not sent by now is lost.
            cutPower()
        }
        let gone = nanoseconds()
        try run("promote \(new)")
        current.store(new, ordering: .releasing)
        if isSynchronous {
            // Else nothing could be committed until the new standby is there.
            try sql("ALTER SYSTEM RESET synchronous_standby_names", reload: true)
        }
        try run("rebuild \(old) \(ports[old]) \(ports[new])")
        if isSynchronous {
            try sql("ALTER SYSTEM SET synchronous_standby_names = '*'", reload: true)
        }
        return gone
    }

    /// Promotes the standby while the primary goes on, as where nobody fences it.
    ///
    /// Nothing is committed on the old one any more, which waits for its standby; it is read.
    func promoteBeside() throws {
        let new = 1 - primary
        try run("promote \(new)")
        current.store(new, ordering: .releasing)
        try sql("ALTER SYSTEM RESET synchronous_standby_names", reload: true)
    }

    /// Ends the server that is not the primary, and rebuilds it as the standby.
    func fenceOther() throws {
        let (old, new) = (1 - primary, primary)
        try run("fence \(old)")
        try run("rebuild \(old) \(ports[old]) \(ports[new])")
        try sql("ALTER SYSTEM SET synchronous_standby_names = '*'", reload: true)
    }

    /// Runs SQL on the primary.
    func sql(_ text: String, reload: Bool = false) throws {
        let words = words(text)
        let status = try ChildProcess.launch(
            reload ? words + ["-c", "SELECT pg_reload_conf()"] : words,
            log: "/dev/null"
        ).wait()
        guard status == 0 else { throw ChaosError("psql: \(text)") }
    }

    /// What SQL on the primary answers, or why it does not; for whoever has to find out something.
    func answer(_ text: String) -> String {
        let log = "/tmp/\(getpid()).\(UInt64.random(in: 0...UInt64.max)).answer"
        defer { unlink(log) }
        do {
            _ = try ChildProcess.launch(words(text), log: log).wait()
        } catch {
            return "\(error)"
        }
        return PrivateFolder.read(log).split(separator: "\n").joined(separator: "; ")
    }

    /// The command that runs SQL on the primary.
    func words(_ text: String) -> [String] {
        [
            "psql", "-h", "127.0.0.1", "-p", "\(ports[primary])", "-U", "postgres", "-XAtq", "-c",
            text,
        ]
    }

    private func run(_ command: String) throws {
        let user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        let words =
            (getuid() == 0 ? user : []) + ["sh", "-c", Self.control, "sh", folder]
            + command.split(separator: " ").map(String.init)
        let log = "/tmp/\(getpid()).chaos.log"
        defer { unlink(log) }
        let status = try ChildProcess.launch(words, log: log).wait()
        guard status == 0 else {
            throw ChaosError("\(command): \(PrivateFolder.read(log).suffix(600))")
        }
    }

    private static let watchdog = """
        dir=$(mktemp -d "${TMPDIR:-/tmp}/watchword-chaos.XXXXXX") || exit 1
        trap '' PIPE
        echo "$dir"
        exec >/dev/null 2>&1
        read -r line
        for pid in $(head -qn 1 "$dir"/*/postmaster.pid); do
            kill -CONT $pid $(cat "/proc/$pid/task/$pid/children")
            kill -QUIT $pid
        done
        sleep 1
        for pid in $(head -qn 1 "$dir"/*/postmaster.pid); do kill -KILL $pid; done
        rm -rf "$dir"
        """

    private static let control = """
        set -eu
        for d in /usr/lib/postgresql/15/bin /usr/lib/postgresql/*/bin; do
            if [ -x "$d/postgres" ]; then PATH="$d:$PATH"; break; fi
        done
        cd "$1"; verb=$2; me=$3
        start() {
            # Backends of one that was killed may still hold its memory for a moment.
            for n in 1 2 3 4 5 6 7 8 9 10; do
                pg_ctl start -s -w -t 60 -D "$me" -l "$me.log" \\
                    -o "-p $1 -k $PWD -c listen_addresses=127.0.0.1" </dev/null && return 0
                sleep 0.2
            done
            tail -n 5 "$me.log"; return 1
        }
        case $verb in
        init)
            initdb -D "$me" -U postgres -A trust -E UTF8 --locale=C --no-sync
            # Without fsync: who is killed loses nothing that the kernel has, and no power is cut.
            cat >>"$me/postgresql.conf" <<END
        fsync = off
        max_connections = 200
        shared_buffers = 64MB
        autovacuum = off
        full_page_writes = on
        # Only commits flush: what is rolled back between two of them is lost in a crash, and
        # its transaction numbers are given out again (F4).
        wal_writer_delay = 10s
        wal_writer_flush_after = 1GB
        wal_log_hints = on
        wal_keep_size = 256MB
        restart_after_crash = on
        hot_standby = on
        max_wal_senders = 10
        END
            start "$4";;
        start) start "$4";;
        fence) pg_ctl stop -s -D "$me" -m immediate -t 60;;
        promote) pg_ctl promote -s -D "$me" -w -t 60;;
        rebuild)
            rm -rf "$me"
            pg_basebackup -h 127.0.0.1 -p "$5" -U postgres -D "$me" -R -X stream -c fast --no-sync
            start "$4";;
        esac
        """
}
