// The log handler of the process: one line an entry, JSON or text, through one writer.
import Logging
import Primitives

/// Hands entries to a `LogWriter`.
struct LineLogHandler: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    private let label: String
    private let format: LogFormat
    private let clock: WallClock
    private let writer: LogWriter

    /// A handler for the logger `label`.
    init(
        label: String,
        level: Logger.Level,
        format: LogFormat,
        writer: LogWriter,
        clock: WallClock = .system
    ) {
        self.label = label
        logLevel = level
        self.format = format
        self.writer = writer
        self.clock = clock
    }

    subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var all = metadata
        if let metadataProvider { all.merge(metadataProvider.get()) { _, new in new } }
        if let own = event.metadata { all.merge(own) { _, new in new } }
        writer.write(
            LogLine.render(
                format,
                at: clock.now(),
                label: label,
                level: event.level,
                message: event.message.description,
                error: event.error,
                metadata: all
            )
        )
    }

    /// Makes the loggers of a node: handed down by the composition root, never global.
    static func factory(
        _ settings: LogSettings,
        clock: WallClock = .system
    ) -> (make: @Sendable (String) -> Logger, writer: LogWriter) {
        let format = settings.format
        let level = settings.level
        let writer = LogWriter { count in
            LogLine.render(
                format,
                at: clock.now(),
                label: "watchword.log",
                level: .warning,
                message: "\(count) log lines were dropped: standard error was too slow",
                error: nil,
                metadata: ["dropped": .stringConvertible(count)]
            )
        }
        let make: @Sendable (String) -> Logger = { label in
            Logger(label: label) {
                LineLogHandler(
                    label: $0,
                    level: level,
                    format: format,
                    writer: writer,
                    clock: clock
                )
            }
        }
        return (make, writer)
    }
}
