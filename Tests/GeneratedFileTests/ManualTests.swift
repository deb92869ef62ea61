// The manuals that come from declarations: the API, the problems, the access table, the settings,
// the commands, and the import table of ARCHITECTURE.md.
import Primitives
import TestKit
import Testing
import Web

@testable import Watchword

@Suite struct ManualTests {
    private static let validator = "PATH=.venv/bin:$PATH python3 -m openapi_spec_validator"

    @Test func `the API document`() throws {
        try GeneratedFile.check(
            "docs/openapi.json",
            Self.ended(OpenAPI.document(PublicAPI.catalogue))
        )
    }

    @Test func `the API document is OpenAPI`() async throws {
        let probe = try await Program.shell(
            "PATH=.venv/bin:$PATH python3 -c 'import openapi_spec_validator'"
        )
        // `.ci/run` and `make check` install the validator; without it there is nothing to ask.
        guard probe.status == 0, !GeneratedFile.isRewriting else { return }
        let outcome = try await Program.shell("\(Self.validator) docs/openapi.json")
        #expect(outcome.status == 0, "\(outcome.text)")
    }

    @Test func `the problem manual`() throws {
        try GeneratedFile.check(
            "docs/problems.md",
            Self.ended(ProblemManual.markdown(PublicAPI.catalogue))
        )
    }

    @Test func `the access table`() throws {
        let all = Catalogue(
            PublicAPI.catalogue.operations + ManagementAPI.catalogue.operations
        )
        try GeneratedFile.check("docs/access.md", Self.ended(AccessTable.markdown(all)))
    }

    @Test func `the manual of the settings`() throws {
        let source = SettingsSource.recording()
        _ = Settings(from: source)
        try GeneratedFile.check(
            "docs/configuration.md",
            Self.ended(ConfigurationManual.markdown(source.declarations))
        )
    }

    @Test func `the manual of the commands, as a page and for man`() async throws {
        try GeneratedFile.check("docs/commands.md", Self.ended(CommandManual.markdown))
        try GeneratedFile.check("docs/watchword.1", Self.ended(CommandManual.page))
        let probe = try await Program.shell("command -v groff")
        // Where there is no groff there is nothing to ask.
        guard probe.status == 0, !GeneratedFile.isRewriting else { return }
        let page = try await Program.shell(
            "groff -mdoc -Tutf8 -ww docs/watchword.1 2>&1 >/dev/null"
        )
        #expect(page.status == 0 && page.text.isEmpty, "\(page.text)")
    }

    @Test func `the import table`() throws {
        let page = Repository.text("ARCHITECTURE.md")
        let begin = try #require(page.firstRange(of: ImportTable.begin))
        let end = try #require(page[begin.upperBound...].firstRange(of: ImportTable.end))
        try GeneratedFile.check(
            "ARCHITECTURE.md",
            page[..<begin.upperBound] + ImportTable.markdown + page[end.lowerBound...]
        )
    }

    /// With exactly one newline at the end.
    private static func ended(_ text: String) -> String {
        var text = text
        while text.hasSuffix("\n") { text.removeLast() }
        return text + "\n"
    }
}
