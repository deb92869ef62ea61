// What a Redis must be to be a member.
import Revocation
import Testing

@Suite struct MemberFactsTests {
    private static let info = """
        # Server
        run_id:aaa
        loading:0
        aof_enabled:0
        role:master
        connected_slaves:0
        master_replid:bbb
        cluster_enabled:0
        """

    private func finding(
        replacing old: String = "",
        by new: String = "",
        save: String? = "",
        appendOnly: String? = "no",
        policy: String? = "noeviction"
    ) -> MemberFinding {
        let info = Self.info.split(separator: "\n").map { $0 == old ? new : String($0) }
        return MemberFacts(
            info: info.joined(separator: "\r\n"),
            save: save,
            appendOnly: appendOnly,
            policy: policy
        ).finding
    }

    @Test func `A master without persistence, replicas or eviction may be a member`() {
        #expect(finding() == .fit(MemberIdentity(runID: "aaa", replicationID: "bbb")))
    }

    @Test func `Whatever may forget or bring back may not (H4, H5, H6, A4)`() {
        #expect(finding(replacing: "role:master", by: "role:slave") == .unfit(.isReplica))
        #expect(
            finding(replacing: "connected_slaves:0", by: "connected_slaves:1")
                == .unfit(.hasReplicas)
        )
        #expect(
            finding(replacing: "cluster_enabled:0", by: "cluster_enabled:1")
                == .unfit(.isClustered)
        )
        #expect(finding(replacing: "loading:0", by: "loading:1") == .unfit(.isLoading))
        #expect(finding(save: "3600 1") == .unfit(.savesSnapshots(rule: "3600 1")))
        #expect(finding(appendOnly: "yes") == .unfit(.appendsToFile))
        #expect(
            finding(replacing: "aof_enabled:0", by: "aof_enabled:1") == .unfit(.appendsToFile)
        )
        for policy in ["allkeys-lru", "volatile-ttl"] {
            #expect(finding(policy: policy) == .unfit(.evicts(policy: policy)))
        }
    }

    @Test func `What cannot be read is refused (W10)`() {
        #expect(finding(save: nil) == .unfit(.unreadable("CONFIG GET save")))
        #expect(
            finding(replacing: "run_id:aaa", by: "x:y") == .unfit(.unreadable("run_id of INFO"))
        )
        #expect(
            MemberFacts(info: nil, save: "", appendOnly: "no", policy: "noeviction").finding
                == .unfit(.unreadable("loading of INFO"))
        )
    }
}
