// The operation that shows the settings of the node that answers, as `watchword describe config`
// does. Values come from the declarations, which hold secrets as dots: none can get here (W7).
import Access
import HTTPTypes
import Primitives

/// Reading the settings.
package enum SettingsAPI {
    static let list = Operation<NoInput, SettingListReply>(
        "settings.list",
        .get,
        "/v1/admin/settings",
        summary: "Every setting of the node that answers, with its origin; secrets are hidden.",
        tag: "Administration",
        gate: .permission(.settingsRead)
    )

    /// All of them.
    static let operations: [OperationInfo] = [list.info]
}

/// One setting.
package struct SettingReply: ReplyBody {
    let setting: SettingDeclaration

    package func write(_ members: inout MemberWriter) {
        members.text("name", setting.name, help: "Its dotted name.")
        members.text("variable", setting.variable, help: "The variable that sets it.")
        members.text("type", setting.kind.word, help: "How its value is written.")
        members.text(
            "value",
            setting.shown.isEmpty ? nil : setting.shown,
            help: "The value in effect; dots for a secret, null where it is not set."
        )
        members.text("default", setting.defaultText, help: "Its default; null for none.")
        members.choice("origin", setting.origin, help: "Where the value came from.")
        members.text("help", setting.help, help: "What it means.")
    }

    package static var example: Self {
        let source = SettingsSource.recording()
        _ = source.duration(
            "sessions.idle_limit",
            default: .days(14),
            within: .minutes(1) ... .days(365),
            help: "A session that is unused for this long is over."
        )
        return Self(setting: source.declarations[0])
    }
}

/// All settings, in the order of the manual; their number is that of the declarations.
package struct SettingListReply: ReplyBody {
    let settings: [SettingReply]

    package func write(_ members: inout MemberWriter) {
        members.objects("settings", settings, help: "The settings of this node.")
    }

    package static var example: Self { Self(settings: [.example]) }
}

extension WebServices {
    func bindSettings(_ bindings: inout Bindings) {
        bindings.bind(SettingsAPI.list) { _, _ in
            Answer(SettingListReply(settings: insight.settings.map { SettingReply(setting: $0) }))
        }
    }
}
