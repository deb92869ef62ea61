// What an answer of `/verify` says of time is of that answer: `Date` is the node's clock, and
// `Watchword-Age` grows from the last read of the log on (S3). Both ways render them on their own
// and keep what they have rendered, so each is held against a clock of the test's.
import Primitives
import TestKit
import Testing

@testable import Web

@Suite struct AnswerTimeTests {
    /// An answer, and when it was asked for and told.
    private struct Told {
        let answer: HTTPAnswer
        let asked: MonotonicInstant
        let told: MonotonicInstant
        let dates: ClosedRange<Int64>

        /// What `Watchword-Age` says; nil where it is no number.
        var age: Duration? {
            answer["Watchword-Age"].flatMap { Int64($0) }.map { Duration.milliseconds($0) }
        }

        /// Whether `Date` is a second in which it may have been written.
        var isDated: Bool {
            dates.contains { answer["Date"] == Timestamp(seconds: $0).httpDate }
        }
    }

    private func ask(
        _ node: NodeProcess,
        _ target: String,
        _ tokens: Tokens
    ) async throws -> Told {
        let from = WallClock.system.now().seconds
        let asked = MonotonicInstant.now
        let answer = try await node.client.send("GET", target, tokens.bearer)
        let told = MonotonicInstant.now
        #expect(answer.status == 200)
        #expect(answer["Watchword-Mode"] == "bounded")
        let to = WallClock.system.now().seconds
        return Told(answer: answer, asked: asked, told: told, dates: from...max(from, to))
    }

    @Test
    func `date and age are those of the answer itself, on both ways (S3)`() async throws {
        var plan = Cluster.Plan()
        plan.nodes = 2
        plan.perNode = [[:], ["WATCHWORD_VERIFY_FAST_PATH": "false"]]
        plan.variables["WATCHWORD_VERIFY_MODE"] = "bounded"
        plan.variables["WATCHWORD_VERIFY_STALENESS_LIMIT"] = "60s"
        let cluster = try await Cluster.start(plan)
        let tokens = try await cluster.signIn(cluster.person())
        for (index, node) in cluster.nodes.enumerated() {
            // A token that is remembered, and a read of the log that began in here.
            _ = try await ask(node, "/verify", tokens)
            let read = try await ask(node, "/verify?max_age=0", tokens)
            let young = try #require(read.age)
            #expect(young <= read.told - read.asked, "node \(index)")
            #expect(read.isDated, "node \(index): \(read.answer["Date"] ?? "none")")
            let before = try await node.verifyCounts()
            for round in 1...3 {
                // Time itself, and not a wait for anything; each round is of another second.
                try await Task.sleep(for: .milliseconds(1100))
                let old = try await ask(node, "/verify", tokens)
                let age = try #require(old.age)
                // Whole milliseconds: what is left over is not told.
                #expect(age + .milliseconds(1) >= old.asked - read.told, "\(index), \(round)")
                #expect(age <= old.told - read.asked, "\(index), \(round)")
                #expect(old.isDated, "\(index), \(round): \(old.answer["Date"] ?? "none")")
            }
            try await eventually("three are counted") {
                let after = try await node.verifyCounts()
                let isFast = index == 0
                return (isFast ? after.fast - before.fast : after.general - before.general) >= 3
            }
        }
    }
}
