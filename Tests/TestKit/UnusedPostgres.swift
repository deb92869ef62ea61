// The files of a PostgreSQL that nobody has used. `initdb` makes them once for each test process,
// and each server begins with a copy: it takes a core a second, and a copy a twentieth of that.
import Synchronization

/// Where they are.
enum UnusedPostgres {
    private static let made = Mutex<(folder: String, pipe: Int32)?>(nil)

    /// The folder, which goes with this process.
    ///
    /// - Throws: `TestServerError` with the end of what `initdb` said.
    static func folder() throws -> String {
        try made.withLock { made in
            if let made { return made.folder }
            let started = try Watchdog.start(script: script, arguments: [])
            guard started.line.hasPrefix("made ") else {
                throw TestServerError("no files of PostgreSQL: \(started.line)")
            }
            let folder = String(started.line.dropFirst(5))
            made = (folder, started.pipe)
            return folder
        }
    }

    /// Shell that puts the programs of PostgreSQL first in the path.
    static let findPrograms = """
        for d in /usr/lib/postgresql/15/bin /usr/lib/postgresql/*/bin; do
            if [ -x "$d/postgres" ]; then PATH="$d:$PATH"; break; fi
        done
        """

    private static let script = """
        set -eu
        \(findPrograms)
        dir=$(mktemp -d "${TMPDIR:-/tmp}/watchword-unused.XXXXXX")
        trap 'rm -rf "$dir"' EXIT
        trap '' PIPE
        initdb -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$dir/log" 2>&1 ||
            { echo "failed: $(tail -n 4 "$dir/log" | tr "\\n" " ")"; exit 1; }
        echo "made $dir/data" || true
        exec >/dev/null 2>&1
        read -r line || true
        """
}
