// Why a local server or process could not be started or kept running, as one sentence for a
// person, with the way out in it.

/// A failure of local supervision.
///
/// `description` is shown as it is.
struct LocalServerError: Error, Equatable, CustomStringConvertible {
    /// The sentence.
    let description: String

    /// A failure described by `sentence`.
    init(_ sentence: String) { description = sentence }
}
