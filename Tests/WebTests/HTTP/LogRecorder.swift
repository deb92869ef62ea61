// Keeps log lines for tests to read.
import Logging
import Synchronization

/// What was logged.
final class LogRecorder: Sendable {
    struct Line: Sendable {
        let level: Logger.Level
        let message: String
        let metadata: [String: String]
    }
    private let kept = Mutex<[Line]>([])

    var lines: [Line] { kept.withLock { $0 } }

    func append(_ line: Line) { kept.withLock { $0.append(line) } }

    var handler: any LogHandler { Handler(recorder: self) }

    private struct Handler: LogHandler {
        let recorder: LogRecorder
        var metadata: Logger.Metadata = [:]
        var logLevel: Logger.Level = .info

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let all = metadata.merging(event.metadata ?? [:]) { $1 }
            recorder.append(
                Line(
                    level: event.level,
                    message: event.message.description,
                    metadata: all.mapValues { $0.description }
                )
            )
        }
    }
}
