// Every setting there is, by domain. A new domain adds one line here and is then in the manual, in
// `watchword describe config` and among the names that are known.
import Accounts
import NIOCore
import Primitives
import Revocation
import Sessions
import Tokens
import Web

/// All settings of a node.
struct Settings: Sendable {
    /// The process itself.
    let server: ServerSettings
    /// The HTTP listeners.
    let web: WebSettings
    /// Accounts.
    let accounts: AccountSettings
    /// Password hashing.
    let hashing: HashingSettings
    /// Sessions and their tokens.
    let sessions: SessionSettings
    /// How often a password may be tried.
    let signIn: SignInRules
    /// What administrators may.
    let administration: AdministrationSettings
    /// Where administration is answered; empty for everywhere.
    let administrationNetworks: [IPNetwork]
    /// The operations that need a second person, by name.
    let twoPeople: Set<String>
    /// Key rotation.
    let keys: KeySettings
    /// Who holds the head of the revocation log.
    let authority: AuthoritySettings
    /// What stands beside the revocation protocol.
    let revocation: RevocationSettings
    /// How long journals are kept.
    let retention: RetentionSettings
    /// Logging.
    let log: LogSettings
    /// Every declaration with its value in effect, fit to be shown.
    let declarations: [SettingDeclaration]

    /// Reads them all.
    init(from source: SettingsSource) {
        server = ServerSettings(from: source)
        web = WebSettings(from: source)
        accounts = AccountSettings(from: source, isDevelopment: server.mode == .development)
        hashing = HashingSettings(from: source, cores: System.coreCount)
        sessions = SessionSettings(from: source, issuer: server.publicURL)
        signIn = SignInRules(from: source)
        administration = AdministrationSettings(from: source)
        administrationNetworks = source.networks(
            "administration.networks",
            help: "Addresses or networks (CIDR) that the API of administration is answered in,"
                + " beside all that it asks for anyway; empty is everywhere"
                + " (docs/operations/administration.md)."
        )
        twoPeople = source.twoPeople()
        keys = KeySettings(from: source, longestSession: sessions.absoluteLimit)
        authority = AuthoritySettings(from: source)
        revocation = RevocationSettings(from: source)
        retention = RetentionSettings(from: source)
        log = LogSettings(from: source)
        declarations = source.declarations
    }
}

/// How long journals are kept.
struct RetentionSettings: Sendable {
    /// Sign-ins.
    let loginHistory: Duration
    /// The audit log.
    let audit: Duration

    /// Reads them.
    init(from source: SettingsSource) {
        loginHistory = source.duration(
            "retention.login_history",
            default: .days(90),
            within: .days(1) ... .days(3650),
            help: "How long sign-ins are shown to their account."
        )
        audit = source.duration(
            "retention.audit",
            default: .days(400),
            within: .days(1) ... .days(3650),
            help: "How long the audit log is kept."
        )
    }
}
