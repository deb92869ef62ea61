// The pages: what they link to is there, and every decision can be found.
import TestKit
import Testing

@Suite struct PageTests {
    @Test func `every link of a page leads to a file`() {
        var findings: [String] = []
        for page in Repository.files(endings: [".md"]) {
            let folder = page.split(separator: "/").dropLast().map(String.init)
            for part in Repository.text(page).split(separator: "](").dropFirst() {
                let link = part.prefix { $0 != ")" && $0 != "#" }
                guard !link.isEmpty, !link.contains("://"), !link.contains("\n") else { continue }
                var path = folder
                for step in link.split(separator: "/") {
                    if step == ".." { _ = path.popLast() } else { path.append(String(step)) }
                }
                if !Repository.has(path.joined(separator: "/")) {
                    findings.append("\(page): \(link) is not there")
                }
            }
        }
        expectNone(findings)
    }

    @Test func `every decision is listed, and numbered without gaps`() {
        let index = Repository.text("docs/README.md")
        var findings: [String] = []
        let pages = Repository.files("docs/decisions", endings: [".md"])
        #expect(pages.count >= 9)
        for (at, page) in pages.enumerated() {
            let name = page.split(separator: "/")[2]
            if !index.contains("(decisions/\(name))") {
                findings.append("docs/README.md: list \(name)")
            }
            if Int(name.prefix(4)) != at + 1 {
                findings.append("\(page): the next number is \(at + 1)")
            }
        }
        expectNone(findings)
    }
}
