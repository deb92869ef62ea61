// One step of the schema. Steps run forward only and are never edited once merged; the checksum
// stored with an applied step proves that the database got the text this build knows.
import Crypto
import Primitives

/// A migration file.
package struct Migration: Hashable, Sendable {
    /// Its place in the order; 1 and up, without gaps.
    package let version: Int
    /// What it does, as in its file name.
    package let name: String
    /// Its SQL, which may be many statements; no `BEGIN` or `COMMIT`.
    package let sql: String
    /// The SHA-256 of the SQL, in hexadecimal.
    package let checksum: String

    /// A migration; its checksum is computed.
    package init(version: Int, name: String, sql: String) {
        self.version = version
        self.name = name
        self.sql = sql
        checksum = Hex.encode(SHA256.hash(data: Array(sql.utf8)))
    }
}

/// Why a schema cannot be used or mended as it is.
package enum MigrationError: Error, Hashable, CustomStringConvertible {
    /// The database lacks steps that this build needs.
    case outdated(database: Int, build: Int)
    /// The database has steps that this build does not know.
    case newer(database: Int, build: Int)
    /// An applied step differs from the one of the same version in this build.
    case changed(version: Int, name: String)
    /// An applied step is missing below the newest one.
    case gap(version: Int)
    /// A step failed and was rolled back; those before it stay.
    case failed(version: Int, name: String, cause: PostgresError)

    package var description: String {
        switch self {
        case .outdated(let database, let build):
            "the database schema is at version \(database), this build needs \(build): "
                + "run `watchword migrate`"
        case .newer(let database, let build):
            "the database schema is at version \(database), newer than the \(build) this build "
                + "knows: install the newer build, which made it"
        case .changed(let version, let name):
            "migration \(version) (\(name)) was applied with another text: restore the file as it "
                + "was merged"
        case .gap(let version):
            "migration \(version) was never applied although later ones were: restore the table "
                + "schema_migrations from a backup"
        case .failed(let version, let name, let cause):
            "migration \(version) (\(name)) failed and was rolled back: \(cause); mend the cause "
                + "and run `watchword migrate` again"
        }
    }
}

/// What the table `schema_migrations` says, judged against what this build knows.
struct MigrationPlan {
    /// One applied step.
    struct Applied: Hashable {
        let version: Int
        let name: String
        let checksum: String
    }

    /// The steps still to run, in order.
    let pending: [Migration]

    /// Judges `applied`, sorted by version.
    init(known: [Migration], applied: [Applied]) throws {
        let newest = known.last?.version ?? 0
        if let last = applied.last, last.version > newest {
            throw MigrationError.newer(database: last.version, build: newest)
        }
        for (known, applied) in zip(known, applied) {
            guard known.version == applied.version else {
                throw MigrationError.gap(version: known.version)
            }
            guard known.checksum == applied.checksum else {
                throw MigrationError.changed(version: known.version, name: known.name)
            }
        }
        pending = Array(known.dropFirst(applied.count))
    }
}
