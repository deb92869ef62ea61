// The SQL of lists of accounts: one statement for each set of filters, so that each has the plan
// of the index that serves it. A parameter that may be absent would leave one plan for all of them,
// and that is to read the table. Every value is a parameter (row 245).
import Access
import Postgres
import Primitives

/// Statements that show accounts to administrators.
enum AccountListStore {
    /// Which filters are there; every combination is a statement.
    struct Shape: OptionSet, Hashable {
        let rawValue: Int
        static let state = Shape(rawValue: 1)
        static let role = Shape(rawValue: 2)
        static let prefix = Shape(rawValue: 4)
        static let realm = Shape(rawValue: 8)
        static let persons = Shape(rawValue: 16)
        static let services = Shape(rawValue: 32)
    }

    typealias List = Statement<
        AccountSummary, AccountID, AccountID, Timestamp, Timestamp, Int32, String?, RoleID?,
        OrganisationID?, String, String, Bool
    >

    /// The statement for a filter.
    static func list(_ filter: AccountFilter, _ realm: Realm) -> List {
        var shape: Shape = []
        if filter.state != nil { shape.insert(.state) }
        if filter.role != nil { shape.insert(.role) }
        if filter.emailPrefix != nil { shape.insert(.prefix) }
        if realm.organisationID != nil { shape.insert(.realm) }
        switch filter.kind {
        case .person?: shape.insert(.persons)
        case .service?: shape.insert(.services)
        case nil: break
        }
        guard let statement = lists[shape] else { preconditionFailure("every shape has its list") }
        return statement
    }

    private static let lists: [Shape: List] = {
        var all: [Shape: List] = [:]
        for raw in 0..<64 {
            let shape = Shape(rawValue: raw)
            if !shape.isSuperset(of: [.persons, .services]) { all[shape] = make(shape) }
        }
        return all
    }()

    /// `$1` and `$2` the ids between which the page lies, `$3` and `$4` when they were made, `$5`
    /// the limit, `$6` state, `$7` role, `$8` organisation, `$9` the address at which the page
    /// begins, `$10` where addresses end that begin so, `$11` whether `$9` is on an earlier page.
    private static func make(_ shape: Shape) -> List {
        var from = "accounts a"
        var wanted: [String] = []
        // The planner knows that these ids are equal, but not that they lie in the same range.
        var ids = ["a.id"]
        if shape.contains(.role) {
            from += "\n  JOIN account_roles ar ON ar.account_id = a.id AND ar.role_id = $7"
            ids.append("ar.account_id")
            wanted.append(RightsStore.isLive("ar"))
            // What somebody holds elsewhere is no business of this organisation's (row 175).
            wanted.append(
                shape.contains(.realm)
                    ? "ar.scope = 'org:' || $8::text" : OrganisationStore.isOfNoneRemoved("ar")
            )
        }
        if shape.contains(.realm) {
            from +=
                "\n  JOIN organisation_members m"
                + " ON m.account_id = a.id AND m.organisation_id = $8"
            ids.append("m.account_id")
        }
        if shape.contains(.state) { wanted.append("a.state = $6") }
        if shape.contains(.persons) { wanted.append("a.kind = 'person'") }
        // The second half is what the partial index says.
        if shape.contains(.services) { wanted.append("a.kind = 'service' AND a.kind <> 'person'") }
        let email = "a.email_canonical COLLATE \"C\""
        if shape.contains(.prefix) {
            wanted.append("\(email) >= $9 AND \(email) < $10 AND (NOT $11 OR \(email) > $9)")
        }
        wanted += ids.map { "\($0) > $1 AND \($0) < $2" }
        wanted.append("a.created_at >= $3 AND a.created_at < $4")
        let key = shape.contains(.prefix) ? email : "a.id"
        // Somebody may hold a role in several scopes.
        let distinct = shape.contains(.role) ? "DISTINCT ON (\(key)) " : ""
        return Statement(
            "accounts.list_\(shape.rawValue)",
            """
            SELECT \(distinct)\(AccountSummary.columns)
              FROM \(from)
             WHERE \(wanted.joined(separator: "\n   AND "))
             ORDER BY \(key)\(shape.contains(.prefix) ? "" : " DESC")
             LIMIT $5
            """,
            kind: .list,
            binds: AccountID.self,
            AccountID.self,
            Timestamp.self,
            Timestamp.self,
            Int32.self,
            String?.self,
            RoleID?.self,
            OrganisationID?.self,
            String.self,
            String.self,
            Bool.self,
            decode: { try AccountSummary($0) }
        )
    }

    /// All that is seen of an account; roles of other organisations are not, in the realm of one.
    static let findDetail = Statement(
        "accounts.find_detail",
        """
        SELECT \(AccountSummary.columns),
               a.version, a.updated_at,
               ARRAY(SELECT DISTINCT r.name
                       FROM account_roles ar
                       JOIN roles r ON r.id = ar.role_id
                      WHERE ar.account_id = a.id
                        AND r.removed_at IS NULL
                        AND (ar.expires_at IS NULL OR ar.expires_at > $3)
                        AND ($2::uuid IS NULL OR ar.scope IN ('', 'org:' || $2::text))
                        AND \(OrganisationStore.isOfNoneRemoved("ar"))
                      ORDER BY r.name),
               p.account_id IS NOT NULL, COALESCE(p.must_change, false),
               \(AccountStore.hasSecondFactor),
               f.given_name, f.family_name, f.address, f.phone_number, f.birthdate
          FROM accounts a
          LEFT JOIN account_passwords p ON p.account_id = a.id
          LEFT JOIN account_profiles f ON f.account_id = a.id
         WHERE a.id = $1
           AND \(AdministrationStore.isInRealm(2))
        """,
        binds: AccountID.self,
        OrganisationID?.self,
        Timestamp.self,
        decode: { row in
            AccountDetail(
                summary: try AccountSummary(row),
                version: try row.get(9, as: Int64.self),
                updatedAt: try row.get(10, as: Timestamp.self),
                roles: try row.get(11, as: [String].self),
                hasPassword: try row.get(12, as: Bool.self),
                mustChangePassword: try row.get(13, as: Bool.self),
                hasSecondFactor: try row.get(14, as: Bool.self),
                profile: AccountProfile(
                    givenName: try row.get(15, as: String?.self),
                    familyName: try row.get(16, as: String?.self),
                    address: try row.get(17, as: String?.self),
                    phoneNumber: try row.get(18, as: String?.self),
                    birthdate: try row.get(19, as: String?.self)
                )
            )
        }
    )

    /// All statements, for the test that prepares them.
    static var statements: [StatementInfo] {
        lists.sorted { $0.key.rawValue < $1.key.rawValue }.map(\.value.info) + [findDetail.info]
    }
}

extension AccountSummary {
    /// The columns of an account `a`.
    fileprivate static let columns = """
        a.id, a.kind, a.email, a.username, a.state, a.confirmed_at IS NOT NULL, a.created_at,
               a.last_login_at, a.email_canonical
        """

    fileprivate init(_ row: PostgresRow) throws {
        guard let kind = AccountKind(rawValue: try row.get(1, as: String.self)),
            let state = AccountState(rawValue: try row.get(4, as: String.self))
        else { throw PostgresError(.protocolViolation, "an account of an unknown kind or state") }
        self.init(
            id: try row.get(0, as: AccountID.self),
            kind: kind,
            email: try row.get(2, as: String?.self),
            username: try row.get(3, as: String?.self),
            state: state,
            isConfirmed: try row.get(5, as: Bool.self),
            createdAt: try row.get(6, as: Timestamp.self),
            lastLoginAt: try row.get(7, as: Timestamp?.self),
            canonicalEmail: try row.get(8, as: String?.self)
        )
    }
}
