// The configuration file: JSON objects nested as the dots of the names are. Read to plain text per
// setting, so that `900` and `"15m"` both work, and so that every name in it can be checked.
import FoundationEssentials
import Primitives

/// Reads configuration files.
enum SettingsFile {
    /// The settings of the file, by dotted name.
    ///
    /// - Throws: `ConfigurationError` where it cannot be read, is not JSON, or holds something that
    ///   is no setting.
    static func read(_ path: String) throws(ConfigurationError) -> [String: String] {
        guard let bytes = FileIO.read(path, atMost: 1 << 20) else {
            throw ConfigurationError(
                "The configuration file \(path) cannot be read: "
                    + "\(FileIO.reason)."
            )
        }
        let tree: Tree
        do {
            tree = try JSONDecoder().decode(Tree.self, from: Data(bytes))
        } catch {
            throw ConfigurationError("The configuration file \(path) is not valid JSON.")
        }
        guard case .object = tree else {
            throw ConfigurationError("The configuration file \(path) must hold a JSON object.")
        }
        var values: [String: String] = [:]
        var complaints: [SettingComplaint] = []
        flatten(tree, "", &values, &complaints)
        guard complaints.isEmpty else { throw ConfigurationError(complaints) }
        return values
    }

    private static func flatten(
        _ tree: Tree,
        _ name: String,
        _ values: inout [String: String],
        _ complaints: inout [SettingComplaint]
    ) {
        switch tree {
        case .object(let members):
            for (key, value) in members.sorted(by: { $0.key < $1.key }) {
                flatten(value, name.isEmpty ? key : "\(name).\(key)", &values, &complaints)
            }
        case .array(let entries):
            let words = entries.map(\.word)
            guard !words.contains(where: { $0?.contains(",") ?? true }) else {
                complaints.append(
                    SettingComplaint(name, "\(name) (file) must be an array of words.")
                )
                return
            }
            values[name] = words.compactMap { $0 }.joined(separator: ",")
        case .text, .number, .boolean:
            values[name] = tree.word
        case .null:
            complaints.append(
                SettingComplaint(name, "\(name) (file) is null: leave it out for the default.")
            )
        }
    }

    private enum Tree: Decodable {
        case object([String: Tree])
        case array([Tree])
        case text(String)
        case number(String)
        case boolean(Bool)
        case null

        init(from decoder: any Decoder) throws {
            if let members = try? decoder.container(keyedBy: Key.self) {  // Not an object: below.
                var object: [String: Tree] = [:]
                for key in members.allKeys {
                    object[key.stringValue] = try members.decode(Tree.self, forKey: key)
                }
                self = .object(object)
                return
            }
            let value = try decoder.singleValueContainer()
            // Each failed attempt only says that the value is of another kind.
            if value.decodeNil() {
                self = .null
            } else if let flag = try? value.decode(Bool.self) {  // See above.
                self = .boolean(flag)
            } else if let number = try? value.decode(Int.self) {  // See above.
                self = .number(String(number))
            } else if let number = try? value.decode(Double.self) {  // See above.
                self = .number(String(number))
            } else if let text = try? value.decode(String.self) {  // See above.
                self = .text(text)
            } else {
                self = .array(try value.decode([Tree].self))
            }
        }

        var word: String? {
            switch self {
            case .text(let text), .number(let text): text
            case .boolean(let flag): String(flag)
            case .object, .array, .null: nil
            }
        }
    }

    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }
}
