// Everything that is wrong with the configuration, reported together: nobody wants to start a
// service five times to learn of five mistakes.
import Primitives

/// A configuration that cannot be used.
///
/// The exit code for it is 78.
struct ConfigurationError: Error, CustomStringConvertible {
    /// What is wrong, in the order of the settings.
    let complaints: [SettingComplaint]

    /// Several complaints.
    init(_ complaints: [SettingComplaint]) { self.complaints = complaints }

    /// One complaint that is about no setting in particular.
    init(_ sentence: String) { complaints = [SettingComplaint("", sentence)] }

    var description: String {
        guard complaints.count > 1 else { return complaints.first?.description ?? "" }
        return "\(complaints.count) things are wrong with the configuration:\n"
            + complaints.map { "  - \($0)" }.joined(separator: "\n")
    }
}
