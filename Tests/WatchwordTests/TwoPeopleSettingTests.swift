// `administration.two_people` among the settings: what is no operation that can need two people
// stops the start, and what leaves one administrator a way to make the second person is known.
import Primitives
import Testing

@testable import Watchword
@testable import Web

@Suite struct TwoPeopleSettingTests {
    private func read(_ text: String) -> (operations: Set<String>, complaints: [String]) {
        let name = "administration.two_people"
        let source = SettingsSource { $0 == name ? RawSetting(text, from: .environment) : nil }
        let settings = Settings(from: source)
        let complaints = source.complaints.filter { $0.name == name }
        return (settings.twoPeople, complaints.map(\.description))
    }

    @Test func `operations are named, or all of them, or none (row 178)`() {
        #expect(read("") == ([], []))
        let two: Set = ["organisations.remove", "keys.remove"]
        #expect(read("organisations.remove, keys.remove") == (two, []))
        let all = Set(
            PublicAPI.catalogue.operations.filter {
                $0.proof != .none && $0.gate.isAdministration
            }.map(\.name)
        )
        // Nobody approves an approval, nor reads the password of a new account.
        let most = all.subtracting(["approvals.give", "users.create"])
        #expect(read("*") == (most, []))
        #expect(read("keys.remove,*") == (most, []))
    }

    @Test(arguments: [
        ("organisation.remove", "did you mean organisations.remove?"),
        // It is there, and needs no recent sign-in: it must not wait in an emergency.
        ("users.disable", "did you mean users.enable?"),
        ("approvals.give", "docs/access.md lists them under \"Recent sign-in\"."),
        ("DELETE /v1/admin/users/{id}", "docs/access.md lists them under \"Recent sign-in\"."),
    ])
    func `what is none of them stops the start`(text: String, advice: String) {
        let (_, complaints) = read("keys.remove,\(text)")
        #expect(complaints.count == 1)
        #expect(complaints.first?.contains("\"\(text)\" is no operation") == true)
        #expect(complaints.first?.hasSuffix(advice) == true, "\(complaints)")
    }

    @Test func `a list that one administrator gets around is told from one that he does not`() {
        #expect(TwoPeople.gaps(in: []).isEmpty)
        #expect(TwoPeople.gaps(in: read("*").operations).isEmpty)
        let gaps = TwoPeople.gaps(in: ["keys.remove", "roles.change"])
        #expect(gaps == ["users.enable", "roles.create", "assignments.create"])
        let closed = read("users.enable,roles.create,roles.change,assignments.create").operations
        #expect(TwoPeople.gaps(in: closed).isEmpty)
    }

    @Test func `what does the same in another way comes with what is named`() {
        #expect(read("users.delete").operations == ["users.delete", "users.bulk"])
        #expect(
            read("users.enable,assignments.bulk").operations == [
                "users.enable", "users.bulk", "assignments.bulk", "assignments.create",
            ]
        )
        let routes = PublicAPI.catalogue.operations.map(\.name).filter { $0.hasPrefix("routes.") }
        let writes = Set(routes).subtracting(["routes.list", "routes.get", "routes.explain"])
        for name in writes { #expect(read(name).operations == writes) }
        // Every operation on many at once comes with one of those on one.
        let many = PublicAPI.catalogue.operations.map(\.name).filter { $0.hasSuffix(".bulk") }
        for name in many {
            #expect(
                PublicAPI.catalogue.operations.contains {
                    $0.name != name && $0.canNeedTwoPeople
                        && TwoPeople.closure(of: [$0.name]).contains(name)
                }
            )
        }
    }
}
