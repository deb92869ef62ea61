// The way in: parses the command line, runs the command, and turns its error into a sentence and an
// exit code. Nothing else ends the process.
import ArgumentParser
import Glibc

@main struct Main {
    static func main() async {
        // A reader that goes away (`watchword … | head`) is an error of write, not a signal.
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try WatchwordCommand.parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            guard let failure = CommandFailure(error) else {
                WatchwordCommand.exit(withError: error)
            }
            Output.note("Error: \(failure)")
            exit(failure.code.rawValue)
        }
    }
}
