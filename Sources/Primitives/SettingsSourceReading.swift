// How one field is read: the text is asked for, parsed, checked, and remembered with its
// declaration. A refused value is never repeated where it may be a secret.

extension SettingsSource {
    struct Field<Value> {
        let name: String
        let kind: SettingKind
        let standard: Value
        let limits: String?
        let help: String

        init(
            _ name: String,
            _ kind: SettingKind,
            _ standard: Value,
            _ limits: String?,
            _ help: String
        ) {
            self.name = name
            self.kind = kind
            self.standard = standard
            self.limits = limits
            self.help = help
        }
    }

    struct Refused: Error {
        let reason: String
        let hidesValue: Bool

        init(_ reason: String, hidesValue: Bool = false) {
            self.reason = reason
            self.hidesValue = hidesValue
        }
    }

    func read<Value>(
        _ field: Field<Value>,
        write: (Value) -> String,
        parse: (String) throws(Refused) -> Value
    ) -> Value {
        precondition(
            !declarations.contains { $0.name == field.name },
            "the setting \(field.name) is declared twice"
        )
        let raw = lookup(field.name)
        var value = field.standard
        if let raw {
            do throws(Refused) {
                try refuseExposed(raw, field.kind)
                value = try parse(raw.text)
            } catch {
                let hidden = error.hidesValue || field.kind == .secret
                let got = hidden ? "" : ", not \"\(raw.text.prefix(80))\""
                let place = raw.origin == .flag ? "--set" : raw.origin.rawValue
                complain(
                    SettingComplaint(
                        field.name,
                        "\(field.name) (\(place)) \(error.reason)\(got)."
                    )
                )
            }
        }
        let standardText = write(field.standard)
        declarations.append(
            SettingDeclaration(
                name: field.name,
                kind: field.kind,
                defaultText: standardText.isEmpty ? nil : standardText,
                limits: field.limits,
                help: field.help,
                shown: write(value),
                origin: raw?.origin ?? .default
            )
        )
        return value
    }

    func refuseExposed(_ raw: RawSetting, _ kind: SettingKind) throws(Refused) {
        guard raw.origin == .flag else { return }
        let isExposed =
            kind == .secret
            || kind == .url && SettingText.withoutPassword(raw.text) != raw.text
        guard !isExposed else {
            throw Refused(
                "holds a secret, which every user of the machine could read in a flag: use "
                    + "the variable, or the same name with _FILE and a path",
                hidesValue: true
            )
        }
    }

    static func check<Value: Comparable>(
        _ value: Value,
        _ limits: ClosedRange<Value>,
        _ write: (Value) -> String
    ) throws(Refused) -> Value {
        guard limits.contains(value) else {
            throw Refused(
                "must be within \(write(limits.lowerBound)) and \(write(limits.upperBound))"
            )
        }
        return value
    }

    static func printable(_ text: String) throws(Refused) -> String {
        guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) else {
            throw Refused("must not have control characters", hidesValue: true)
        }
        return text
    }
}
