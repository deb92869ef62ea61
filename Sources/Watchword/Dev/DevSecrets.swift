// What a development cluster keeps beside its data, readable by its owner only: the master key and
// the first administrator's login.
import FoundationEssentials
import Glibc
import Primitives

/// The private files of a data folder.
struct DevSecrets: Sendable {
    /// The first administrator's name; example.com is reserved for such things (RFC 2606).
    static let administrator = "admin@example.com"

    private static let masterKeyBytes = 32
    private static let passwordBytes = 15
    private let folder: String
    private let entropy: Entropy

    /// The files in `folder`.
    init(in folder: String, entropy: Entropy = .system) {
        self.folder = folder
        self.entropy = entropy
    }

    /// The path of the master key, which is made where it is missing.
    func masterKeyFile() throws -> String {
        let path = folder + "/master.key"
        guard !FileIO.exists(path) else { return path }
        let key = Base64URL.encode(entropy.bytes(Self.masterKeyBytes))
        try FileIO.writePrivate(Array((key + "\n").utf8), to: path)
        return path
    }

    /// The path of the administrator's login.
    var administratorFile: String { folder + "/admin.json" }

    /// The kept login; nil where there is none.
    ///
    /// - Throws: `LocalServerError` where the file is not ours to read as such.
    func keptAdministrator() throws -> FirstAdministrator? {
        guard FileIO.exists(administratorFile) else { return nil }
        guard let bytes = FileIO.read(administratorFile) else {
            throw LocalServerError("\(administratorFile) cannot be read: \(FileIO.reason).")
        }
        do {
            let kept = try JSONDecoder().decode(Login.self, from: Data(bytes))
            return FirstAdministrator(login: kept.login, password: kept.password)
        } catch {
            throw LocalServerError(
                "\(administratorFile) is damaged: remove it, and the folder "
                    + "\(folder)/postgres with it, for a fresh start."
            )
        }
    }

    /// A fresh login, kept before it is used, so that a crash in between loses nothing.
    func makeAdministrator() throws -> FirstAdministrator {
        let made = FirstAdministrator(
            login: Self.administrator,
            password: Base64URL.encode(entropy.bytes(Self.passwordBytes))
        )
        let json = JSONText.object([
            ("login", JSONText.string(made.login)),
            ("password", JSONText.string(made.password)),
        ])
        try FileIO.writePrivate(Array((json + "\n").utf8), to: administratorFile)
        return made
    }

    /// Forgets a login that was made in vain.
    func removeAdministrator() { unlink(administratorFile) }

    private struct Login: Decodable {
        let login: String
        let password: String
    }
}
