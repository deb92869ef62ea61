// Requests and replies about route rules. What a rule may say is checked by `RouteDefinition`; here
// are only the sizes of what may be sent.
import Access
import Primitives

/// What a rule says.
package struct RouteDefinitionRequest: RequestBody {
    let definition: RouteDefinition

    package init(_ members: inout MemberReader) throws { definition = Self.read(&members) }

    /// The members of a definition.
    static func read(_ members: inout MemberReader) -> RouteDefinition {
        RouteDefinition(
            methods: members.required("methods", methods, help: Help.methods),
            host: members.optional("host", host, help: Help.host),
            path: members.required("path", path, help: Help.path),
            access: members.required("access", .choice(RouteAccess.self), help: Help.access),
            permissions: members.defaulted(
                "permissions",
                names,
                default: [],
                help: Help.permissions
            ),
            roles: members.defaulted("roles", names, default: [], help: Help.roles),
            scopes: members.defaulted("scopes", names, default: [], help: Help.scopes),
            resource: members.optional("resource", resource, help: Help.resource),
            description: members.defaulted(
                "description",
                description,
                default: "",
                help: Help.description
            )
        )
    }

    static let methods = MemberKind<[String]>.list(.text(1...20), 1...RouteDefinition.methodLimit)
    static let host = MemberKind<String>.text(1...253)
    static let path = MemberKind<String>.text(1...RoutePattern.byteLimit)
    static let names = MemberKind<[String]>.list(
        .text(1...RouteDefinition.scopeBytes),
        0...RouteDefinition.needLimit
    )
    static let resource = MemberKind<String>.text(3...RouteDefinition.resourceBytes)
    static let description = MemberKind<String>.text(0...RouteDefinition.descriptionLength)
    static let position = MemberKind<Int64>.integer(1...Int64(RouteRule.limit))

    /// What the members mean.
    enum Help {
        static let methods = "Methods in capitals, or `*` alone for any; `GET` is not `HEAD`."
        static let host = "The host it is for, in lower case without a port; left out for any."
        static let path =
            "Segments: literal, `{name}` or `*` for one, `**` at the end for the rest."
        static let access = "`public` passes everybody as nobody; `authenticated` needs a token."
        static let permissions = "Permissions that must all be held."
        static let roles = "Names of roles that must all be held."
        static let scopes = "Scopes that the token must all have."
        static let resource = "Where they must be held, such as `project:{id}`."
        static let description = "What the rule is there for."
        static let position = "Its place, from 1; the first rule that matches counts."
    }
}

/// `POST /v1/admin/route-rules`.
package struct NewRouteRuleRequest: RequestBody {
    let definition: RouteDefinition
    let position: Int?

    package init(_ members: inout MemberReader) throws {
        definition = RouteDefinitionRequest.read(&members)
        position = members.optional(
            "position",
            RouteDefinitionRequest.position,
            help: "Its place, from 1; others move down. Left out for the end."
        ).map { Int($0) }
    }
}

/// `PUT /v1/admin/route-rules`.
package struct RouteRuleSetRequest: RequestBody {
    let definitions: [RouteDefinition]

    package init(_ members: inout MemberReader) throws {
        definitions = members.required(
            "rules",
            .list(.object(RouteDefinitionRequest.self), 0...RouteRule.limit),
            help: "All rules, in the order in which they are tried."
        ).map(\.definition)
    }
}

/// `PATCH /v1/admin/route-rules/{id}`: what is left out stays.
package struct RouteRulePatch: RequestBody {
    let methods: [String]?
    let host: Change<String>
    let path: String?
    let access: RouteAccess?
    let permissions: [String]?
    let roles: [String]?
    let scopes: [String]?
    let resource: Change<String>
    let description: String?
    let position: Int?

    package init(_ members: inout MemberReader) throws {
        typealias Kinds = RouteDefinitionRequest
        typealias Help = RouteDefinitionRequest.Help
        methods = members.optional("methods", Kinds.methods, help: Help.methods)
        host = members.change("host", Kinds.host, help: Help.host)
        path = members.optional("path", Kinds.path, help: Help.path)
        access = members.optional("access", .choice(RouteAccess.self), help: Help.access)
        permissions = members.optional("permissions", Kinds.names, help: Help.permissions)
        roles = members.optional("roles", Kinds.names, help: Help.roles)
        scopes = members.optional("scopes", Kinds.names, help: Help.scopes)
        resource = members.change("resource", Kinds.resource, help: Help.resource)
        description = members.optional("description", Kinds.description, help: Help.description)
        position = members.optional("position", Kinds.position, help: Help.position)
            .map { Int($0) }
    }

    /// Changes what was sent.
    func apply(to definition: inout RouteDefinition) {
        definition.methods = methods ?? definition.methods
        definition.host = Self.changed(definition.host, host)
        definition.path = path ?? definition.path
        definition.access = access ?? definition.access
        definition.permissions = permissions ?? definition.permissions
        definition.roles = roles ?? definition.roles
        definition.scopes = scopes ?? definition.scopes
        definition.resource = Self.changed(definition.resource, resource)
        definition.description = description ?? definition.description
    }

    private static func changed(_ old: String?, _ change: Change<String>) -> String? {
        switch change {
        case .keep: old
        case .clear: nil
        case .set(let value): value
        }
    }
}

/// One route rule.
package struct RouteRuleReply: ReplyBody {
    let rule: RouteRule
    let shadowedBy: [RouteRuleID]
    let shadows: [RouteRuleID]

    /// A rule of a table, with what it does to others and they to it.
    init(_ index: Int, of table: RouteTable, _ shadows: [[Int]]) {
        rule = table.rules[index]
        shadowedBy = shadows[index].map { table.rules[$0].id }
        self.shadows = shadows.indices.filter { shadows[$0].contains(index) }
            .map { table.rules[$0].id }
    }

    fileprivate init(example rule: RouteRule) {
        self.rule = rule
        shadowedBy = []
        shadows = []
    }

    package func write(_ members: inout MemberWriter) {
        typealias Help = RouteDefinitionRequest.Help
        let definition = rule.definition
        members.id("id", rule.id, help: "The rule.")
        members.integer("position", Int64(rule.position), help: Help.position)
        members.texts("methods", definition.methods, help: Help.methods)
        members.text("host", definition.host, help: Help.host)
        members.text("path", definition.path, help: Help.path)
        members.choice("access", definition.access, help: Help.access)
        members.texts("permissions", definition.permissions, help: Help.permissions)
        members.texts("roles", definition.roles, help: Help.roles)
        members.texts("scopes", definition.scopes, help: Help.scopes)
        members.text("resource", definition.resource, help: Help.resource)
        members.text("description", definition.description, help: Help.description)
        members.timestamp("created_at", rule.createdAt, help: "When it was made.")
        members.timestamp("updated_at", rule.updatedAt, help: "When it was last changed.")
        members.texts(
            "shadowed_by",
            shadowedBy.map(\.description),
            help: "A warning: earlier rules that catch all it is for, so that it never counts."
        )
        members.texts(
            "shadows",
            shadows.map(\.description),
            help: "A warning: later rules that never count because of this one."
        )
    }

    package static var example: Self {
        let now = Timestamp(seconds: 1_767_225_600)
        return Self(
            example: RouteRule(
                id: RouteRuleID(high: 0x019B_7713_5400_7000, low: 0x8000_0000_0000_0001),
                position: 1,
                definition: RouteDefinition(
                    methods: ["GET"],
                    path: "/projects/{id}/**",
                    access: .authenticated,
                    permissions: ["projects:read"],
                    resource: "project:{id}"
                ),
                createdAt: now,
                updatedAt: now
            )
        )
    }
}

/// A page of route rules.
package struct RouteRulePageReply: ReplyBody {
    let page: Page<RouteRuleReply>
    let version: Int64

    package func write(_ members: inout MemberWriter) {
        members.page(page)
        members.integer("version", version, help: "The version of all rules, as in `ETag`.")
    }
    package static var example: Self {
        Self(page: Page([.example], nextCursor: nil), version: 1_767_225_600_000_000)
    }
}

/// All route rules, after they were replaced.
package struct RouteRuleSetReply: ReplyBody {
    let rules: [RouteRuleReply]
    let version: Int64

    package func write(_ members: inout MemberWriter) {
        members.objects("rules", rules, help: "All rules.")
        members.integer("version", version, help: "The version of all rules, as in `ETag`.")
    }
    package static var example: Self { Self(rules: [.example], version: 1_767_225_600_000_000) }
}
