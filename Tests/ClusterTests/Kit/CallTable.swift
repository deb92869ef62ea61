// Every operation of the catalogue as a call that does what it is there for. Path, method and the
// fields that are declared come from the catalogue; what goes into bodies and queries is told here,
// once for each operation that takes something. A test that needs a call of one which is not told
// of fails, so a new operation joins by a line here.
import HTTPTypes
import Primitives

@testable import Web

/// A request.
struct Call: Sendable, Hashable {
    let method: String
    let target: String
    let json: String?
}

/// Valid calls.
enum CallTable {
    /// What goes into a query or a body.
    private struct Input {
        var query = ""
        var json: String?
    }

    /// The call of an operation on `subjects`.
    ///
    /// - Throws: where nobody has told what it takes.
    static func call(_ info: OperationInfo, _ subjects: Subjects) throws -> Call {
        var path: [String] = []
        for segment in info.pattern.text.split(separator: "/") {
            if segment.hasPrefix("{") {
                let subject = try Subject.named(in: info.pattern.text, after: path.last ?? "")
                path.append(subjects[subject])
            } else {
                path.append(String(segment))
            }
        }
        let method: String =
            switch info.methods {
            case .any: "GET"
            case .only(let methods): methods.first?.rawValue ?? "GET"
            }
        let told = input(info.name, subjects)
        if told == nil, info.needsInput {
            throw ClusterError("\(info.name): tell CallTable what it takes")
        }
        let isBody = info.carrier == .body
        return Call(
            method: method,
            target: "/" + path.joined(separator: "/") + (told?.query ?? ""),
            json: isBody ? told?.json ?? "{}" : nil
        )
    }

    /// What an operation takes; nil for one that is not told of.
    private static func input(_ name: String, _ on: Subjects) -> Input? {
        if let query = query(name, on) { return Input(query: query) }
        return (userBody(name, on) ?? otherBody(name, on)).map { Input(json: $0) }
    }

    private static func query(_ name: String, _ on: Subjects) -> String? {
        switch name {
        case "sessions.end_others": "?except=current"
        case "users.list": "?role=\(on[.role])"
        case "audit.list": "?account=\(on[.account])&actor=\(on[.account])"
        case "decisions.why":
            "?permission=users:read&organisation=\(on[.organisation])"
        case "assignments.remove": "?organisation=\(on[.organisation])"
        default: nil
        }
    }

    private static func userBody(_ name: String, _ on: Subjects) -> String? {
        let password = "a new horse \(on.mark) staple"
        return switch name {
        case "accounts.register":
            """
            {"email":"new\(on.mark)@example.test","username":"new_\(on.mark)",
             "password":"\(password)"}
            """
        case "accounts.change_password":
            "{\"current_password\":\"\(on.person.password)\",\"new_password\":\"\(password)\"}"
        case "sessions.sign_in":
            """
            {"login":"\(on.person.email)","password":"\(on.person.password)",
             "organisation_id":"\(on[.organisation])"}
            """
        case "sessions.refresh": "{\"refresh_token\":\"\(on.tokens.refresh)\"}"
        case "second_factor.confirm": "{\"code\":\"000000\"}"
        case "sessions.choose_organisation": "{\"organisation_id\":\"\(on[.organisation])\"}"
        case "users.create":
            "{\"email\":\"made\(on.mark)@example.test\",\"username\":\"made_\(on.mark)\"}"
        case "users.change": "{\"profile\":{\"given_name\":\"\(on.mark)\"}}"
        case "users.bulk": "{\"action\":\"disable\",\"ids\":[\"\(on[.account])\"]}"
        default: nil
        }
    }

    private static func otherBody(_ name: String, _ on: Subjects) -> String? {
        let assignment = "\"role\":\"\(on[.role])\",\"organisation\":\"\(on[.organisation])\""
        let rule = "{\"methods\":[\"GET\"],\"path\":\"/n\(on.mark)\",\"access\":\"public\"}"
        return switch name {
        case "permissions.create": "{\"name\":\"n\(on.mark):write\",\"description\":\"d\"}"
        case "permissions.change": "{\"description\":\"\(on.mark)\"}"
        case "roles.create": "{\"name\":\"n-\(on.mark)\",\"permissions\":[]}"
        case "roles.change": "{\"description\":\"\(on.mark)\"}"
        case "assignments.create": "{\(assignment)}"
        case "assignments.bulk":
            """
            {"items":[{"action":"assign","account":"\(on[.account])",\(assignment)}]}
            """
        case "routes.insert": rule
        case "routes.replace": "{\"rules\":[\(rule)]}"
        case "routes.update": "{\"description\":\"\(on.mark)\"}"
        case "routes.explain":
            """
            {"method":"GET","path":"/\(on.mark)","account":"\(on[.account])",
             "organisation":"\(on[.organisation])"}
            """
        case "organisations.create": "{\"name\":\"n-\(on.mark)\",\"display_name\":\"N\"}"
        case "organisations.change": "{\"display_name\":\"\(on.mark)\"}"
        case "organisations.add_member": "{\"account\":\"\(on[.account])\"}"
        case "services.create": "{\"name\":\"n-\(on.mark)\"}"
        case "services.create_key": "{\"name\":\"k-\(on.mark)\"}"
        case "decisions.authorize":
            """
            {"checks":[{"permission":"users:read","subject":"\(on[.account])",
             "organisation":"\(on[.organisation])"}]}
            """
        case "decisions.evaluation": evaluation(on)
        case "decisions.evaluations": "{\"evaluations\":[\(evaluation(on))]}"
        default: nil
        }
    }

    private static func evaluation(_ on: Subjects) -> String {
        """
        {"subject":{"type":"user","id":"\(on[.account])"},"action":{"name":"users:read"},
         "resource":{"type":"org","id":"\(on[.organisation])"}}
        """
    }
}

extension OperationInfo {
    /// Whether a call with nothing in its query or body would be refused.
    var needsInput: Bool {
        switch carrier {
        case .nothing: false
        case .query, .body, .form: !bodyIsOptional && hasRequiredMember
        }
    }

    private var hasRequiredMember: Bool {
        guard case .object(let object)? = input else { return false }
        // What changes something is told of, also where each of its members can be left out.
        return object.members.contains(where: \.isRequired) || carrier == .body
    }

    /// The names of all members of its input that hold ids.
    var idMembers: Set<String> {
        var found: Set<String> = []
        func look(_ name: String, _ schema: Schema) {
            switch schema {
            case .id: found.insert(name)
            case .list(let item, _): look(name, item)
            case .nullable(let inner): look(name, inner)
            case .object(let object):
                for member in object.members { look(member.name, member.schema) }
            case .text, .secret, .integer, .boolean, .choice, .timestamp, .anything: break
            }
        }
        if let input { look("", input) }
        return found
    }
}
