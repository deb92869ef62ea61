// Lists of the API that are read to their end: tests of one cluster make more than a page holds.
import Primitives
import Testing

@testable import Web

extension Cluster {
    /// All items of a list, page by page, at the first node; `path` has no question mark.
    func items(_ path: String, _ fields: [(String, String)]) async throws -> [JSONValue] {
        var found: [JSONValue] = []
        var cursor = ""
        for _ in 0..<10_000 {
            let page = try await node.send("GET", "\(path)?limit=200\(cursor)", fields)
            guard page.status == 200, let items = page.json.at("items")?.items else {
                throw ClusterError("no list: \(page.status) \(page.body)")
            }
            found += items
            guard let next = page.text("next_cursor") else { return found }
            cursor = "&cursor=\(next)"
        }
        throw ClusterError("a list without an end: \(path)")
    }
}
