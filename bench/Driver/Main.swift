// The in-process half of the benchmarks: loops over the data layer and over libsodium, and a client
// with a constant rate. Each command runs for a while and answers with one line of JSON; what it is
// compared with, and how often, is the business of the scripts beside this folder.
import Glibc
import Postgres
import Primitives
import Sessions

@main
enum Bench {
    static func main() async {
        do {
            let options = try Options(CommandLine.arguments)
            switch options.command {
            case "select": say(try await StoreLoops.select(options))
            case "insert": say(try await StoreLoops.insert(options))
            case "redis": say(try await StoreLoops.redis(options))
            case "hash": say(try await HashLoop.run(options))
            case "paced": say(try await Pacing.run(options))
            case "rotation-sql": say(RefreshStore.statements[0].sql)
            default: throw BenchFailure("no such command: \(options.command)")
            }
        } catch {
            complain("Bench: \(error)")
            exit(1)
        }
    }

    private static func say(_ text: String) { write(text + "\n", to: STDOUT_FILENO) }

    private static func complain(_ text: String) { write(text + "\n", to: STDERR_FILENO) }

    private static func write(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { return }
            bytes = bytes.dropFirst(count)
        }
    }
}

/// Why a loop could not be run.
struct BenchFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// The command and its `name=value` arguments.
struct Options: Sendable {
    let command: String
    private let values: [String: String]

    init(_ arguments: [String]) throws {
        guard arguments.count > 1 else { throw BenchFailure("no command") }
        command = arguments[1]
        var values: [String: String] = [:]
        for argument in arguments.dropFirst(2) {
            let parts = argument.split(separator: "=", maxSplits: 1)
            guard parts.count == 2 else { throw BenchFailure("not name=value: \(argument)") }
            values[String(parts[0])] = String(parts[1])
        }
        self.values = values
    }

    func text(_ name: String) throws -> String {
        guard let value = values[name] else { throw BenchFailure("\(name)= is missing") }
        return value
    }

    func integer(_ name: String, default fallback: Int) throws -> Int {
        guard let value = values[name] else { return fallback }
        guard let number = Int(value) else { throw BenchFailure("\(name)= is not a number") }
        return number
    }

    /// How long a loop runs.
    var duration: Duration {
        get throws { .milliseconds(try integer("milliseconds", default: 2000)) }
    }
}

/// What a closed loop did.
struct LoopResult: Sendable {
    let count: Int
    let elapsed: Duration
    /// What this process used of the processors, user and system.
    let processorTime: Duration

    var json: String {
        let seconds = elapsed.inSeconds
        return """
            {"count":\(count),"seconds":\(seconds),"rate":\(Double(count) / seconds),\
            "cpu_us":\(processorTime.inSeconds * 1e6 / Double(max(1, count)))}
            """
    }
}

/// What the process has used of the processors so far.
func processorTime() -> Duration {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    let times = [usage.ru_utime, usage.ru_stime]
    return times.reduce(.zero) {
        $0 + .seconds($1.tv_sec) + .microseconds(Int64($1.tv_usec))
    }
}
