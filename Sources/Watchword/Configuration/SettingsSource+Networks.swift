// Lists of networks among the settings: whose word for a client is taken, and where administration
// is answered. A text that is no network is a complaint, which stops the start; an entry that is
// passed over would make another rule than the one that was meant.
import Primitives
import Web

extension SettingsSource {
    /// Addresses and networks in CIDR form, at most 100.
    func networks(_ name: String, help: String) -> [IPNetwork] {
        list(name, default: [], help: help).compactMap { text in
            if let network = IPNetwork(text) { return network }
            let advice =
                IPNetwork.closest(to: text).map { ": did you mean \($0)?" }
                ?? "; write 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32."
            complain(
                SettingComplaint(
                    name,
                    "\(name): \"\(text.prefix(80))\" is neither an address nor a network\(advice)"
                )
            )
            return nil
        }
    }
}
