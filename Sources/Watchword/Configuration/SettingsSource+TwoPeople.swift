// Which operations need a second person, among the settings. A name that is none is a complaint,
// which stops the start: an operation that was passed over would need nobody.
import Primitives
import Web

/// What two people can be wanted for.
enum TwoPeople {
    /// By any of these one administrator alone makes the second person; what does the same to many
    /// at once comes with them.
    private static let makers = [
        "users.enable", "roles.create", "roles.change", "assignments.create",
    ]
    private static let routes = [
        "routes.insert", "routes.replace", "routes.update", "routes.delete",
    ]
    /// What does the same in another way, so that it needs two people too.
    private static let others = [
        "users.enable": ["users.bulk"], "users.delete": ["users.bulk"],
        "assignments.create": ["assignments.bulk"], "assignments.bulk": ["assignments.create"],
        "routes.insert": routes, "routes.replace": routes, "routes.update": routes,
        "routes.delete": routes,
    ]

    /// The operations that are named, and what does the same as one of them.
    static func closure(of names: Set<String>) -> Set<String> {
        names.union(names.flatMap { others[$0] ?? [] })
    }

    /// The makers that a list leaves open; none where nothing needs two people.
    static func gaps(in operations: Set<String>) -> [String] {
        operations.isEmpty ? [] : makers.filter { !operations.contains($0) }
    }
}

extension SettingsSource {
    /// Names of operations that need a recent sign-in; `*` for all of them.
    func twoPeople() -> Set<String> {
        let name = "administration.two_people"
        let known = PublicAPI.catalogue.operations.filter(\.canNeedTwoPeople).map(\.name)
        let wanted = list(
            name,
            default: [],
            help: "Operations, of those that need a recent sign-in, that another administrator"
                + " must approve as well; * is all of them; empty is none"
                + " (docs/operations/administration.md)."
        )
        for text in wanted where text != "*" && !known.contains(text) {
            let advice =
                SettingSuggestion.closest(to: text, among: known).map { "did you mean \($0)?" }
                ?? "docs/access.md lists them under \"Recent sign-in\"."
            complain(
                SettingComplaint(
                    name,
                    "\(name): \"\(text.prefix(80))\" is no operation that can need two people: "
                        + advice
                )
            )
        }
        return wanted.contains("*") ? Set(known) : TwoPeople.closure(of: Set(wanted))
    }
}
