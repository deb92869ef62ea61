// The walk of architecture.md section 11, end to end: register, sign in, verify, refresh, list, end
// and log out, each seen from every node and through nginx.
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct WalkTests {
    @Test
    func `a person signs up, signs in by any spelling, and is known (S0-1, S0-3, S0-19, S1-14)`()
        async throws
    {
        // S2-5, S3-2, S3-18 and S4-4 ask for parts of the same.
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        for login in [
            person.email, person.email.lowercased(), person.username, person.username.uppercased(),
        ] {
            let answer = try await cluster.login(login, person.password)
            #expect(answer.status == 200)
            #expect(
                answer.json.names == [
                    "token_type", "access_token", "expires_in", "refresh_token",
                    "refresh_expires_in", "session_id",
                ]
            )
            #expect(answer.text("token_type") == "Bearer")
            #expect(answer.json.at("expires_in") == .integer(900))
            guard case .integer(let rest)? = answer.json.at("refresh_expires_in") else {
                throw ClusterError(answer.body)
            }
            #expect((14 * 86_400 - 60...14 * 86_400).contains(rest))
            #expect(answer.cookies.isEmpty)
        }
        let tokens = try await cluster.signIn(person)
        for node in cluster.nodes {
            let me = try await node.client.send("GET", "/v1/me", tokens.bearer)
            #expect(me.status == 200)
            #expect(me.text("id") == person.id)
            #expect(me.text("email") == person.email)
            #expect(me.text("username") == person.username)
            #expect(me.json.at("roles") == .list([.text("member")]))
            #expect(me["Cache-Control"] == "no-store")
            #expect(
                me.json.names == [
                    "id", "email", "username", "confirmed", "roles", "created_at", "last_login_at",
                    "profile",
                ]
            )
            for secret in ["password", "phc", "generation"] { #expect(!me.body.contains(secret)) }
        }
        try await cluster.expectEverywhere(200, tokens.bearer)
    }

    @Test func `the same address in another spelling is taken (S0-20, S0-24, S3-T7, row 2)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let mark = person.username
        let again = try await cluster.node.send(
            "POST",
            "/v1/auth/register",
            json: """
                {"email":"\(person.email.lowercased())","password":"another one \(mark)"}
                """
        )
        #expect(again.status == 409)
        #expect(again.code == "email-taken")
        let named = try await cluster.node.send(
            "POST",
            "/v1/auth/register",
            json: """
                {"email":"x\(mark)@example.test","username":"\(mark.lowercased())",
                "password":"another one once more"}
                """
        )
        #expect(named.status == 409)
        #expect(named.code == "username-taken")
    }

    @Test
    func `a refresh needs no access token, rotates, and an old one ends the session (S0-T1, S3-6)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let first = try await cluster.signIn(person)
        let second = try Tokens(await cluster.refresh(first.refresh, at: cluster.nodes[1].client))
        #expect(second.session == first.session)
        #expect(second.refresh != first.refresh)
        #expect(second.access != first.access)
        // Inside the grace window the just-replaced one gets the same child, never a second.
        let again = try Tokens(await cluster.refresh(first.refresh, at: cluster.nodes[2].client))
        #expect(again.refresh == second.refresh)
        // Whoever else is signed in, the pair is for the owner of the refresh token (S0-9, S1-20).
        let stranger = try await cluster.signIn(cluster.person())
        let third = try Tokens(
            await cluster.node.send(
                "POST",
                "/v1/auth/refresh",
                stranger.bearer,
                json: "{\"refresh_token\":\"\(second.refresh)\"}"
            )
        )
        #expect(try await cluster.node.send("GET", "/v1/me", third.bearer).text("id") == person.id)
        try await cluster.expectEverywhere(200, third.bearer)
        // Two generations back is reuse, whoever it is.
        let reuse = try await cluster.refresh(first.refresh)
        #expect(reuse.status == 401)
        #expect(reuse.code == "refresh-token-reused")
        try await cluster.expectEverywhere(401, third.bearer)
        #expect(try await cluster.refresh(third.refresh).status == 401)
    }

    @Test
    func `of fifty refreshes at once all get the same child (S0-T5, S4-T8, W4, row 118)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let tokens = try await cluster.signIn(cluster.person())
        let children = try await withThrowingTaskGroup(of: HTTPAnswer.self) { group in
            for index in 0..<50 {
                let node = cluster.nodes[index % 3].client
                group.addTask { try await cluster.refresh(tokens.refresh, at: node) }
            }
            var found: Set<String> = []
            for try await answer in group { found.insert(try Tokens(answer).refresh) }
            return found
        }
        #expect(children.count == 1)
        let child = try #require(children.first)
        let next = try Tokens(await cluster.refresh(child))
        let logout = try await cluster.node.send("POST", "/v1/auth/logout", next.bearer)
        #expect(logout.status == 204)
        try await cluster.expectEverywhere(401, next.bearer)
        try await cluster.expectEverywhere(401, tokens.bearer)
    }

    @Test
    func `sessions are listed, ended one by one, and all but one (S0-6, S0-8, S0-12, row 105)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        var mine: [Tokens] = []
        for _ in 0..<4 { mine.append(try await cluster.signIn(person)) }
        let list = try await cluster.node.send("GET", "/v1/me/sessions", mine[0].bearer)
        #expect(list.status == 200)
        let items = list.json.at("items")?.items ?? []
        #expect(Set(items.compactMap { $0.at("id")?.string }) == Set(mine.map(\.session)))
        #expect(
            items[0].names == [
                "id", "created_at", "last_used_at", "expires_at", "ip_address", "user_agent",
                "organisation_id", "current",
            ]
        )
        let current = items.filter { $0.at("current") == .boolean(true) }
        #expect(current.compactMap { $0.at("id")?.string } == [mine[0].session])
        #expect(list.json.at("next_cursor") == .null)

        let stranger = try await cluster.signIn(cluster.person())
        let path = "/v1/me/sessions/\(mine[1].session)"
        let refused = try await cluster.node.send("DELETE", path, stranger.bearer)
        #expect(refused.status == 404)
        #expect(refused.code == "not-found")
        try await cluster.expectEverywhere(200, mine[1].bearer)
        #expect(try await cluster.node.send("DELETE", path, mine[0].bearer).status == 204)
        try await cluster.expectEverywhere(401, mine[1].bearer)
        #expect(try await cluster.refresh(mine[1].refresh).code == "refresh-token-revoked")
        // Ending what has ended is no mistake; what never was is not there.
        #expect(try await cluster.node.send("DELETE", path, mine[0].bearer).status == 204)
        for unknown in [person.id, "x", "../me", "%00"] {
            let target = "/v1/me/sessions/\(unknown)"
            #expect(try await cluster.node.send("DELETE", target, mine[0].bearer).status == 404)
        }

        // Only what lives is listed (S0-12).
        func listed(_ tokens: Tokens) async throws -> Set<String> {
            let answer = try await cluster.node.send("GET", "/v1/me/sessions", tokens.bearer)
            return Set((answer.json.at("items")?.items ?? []).compactMap { $0.at("id")?.string })
        }
        #expect(try await listed(mine[0]) == Set([0, 2, 3].map { mine[$0].session }))
        #expect(try await listed(stranger) == [stranger.session])

        let others = "/v1/me/sessions?except=current"
        let kept = try Tokens(await cluster.node.send("DELETE", others, mine[0].bearer))
        #expect(kept.session == mine[0].session)
        for old in mine { try await cluster.expectEverywhere(401, old.bearer) }
        try await cluster.expectEverywhere(200, kept.bearer)
        #expect(try await listed(kept) == [kept.session])
        #expect(try await cluster.refresh(mine[3].refresh).status == 401)
        _ = try Tokens(await cluster.refresh(kept.refresh))
        let bare = try await cluster.node.send("DELETE", "/v1/me/sessions", kept.bearer)
        #expect(bare.status == 400)
    }

    @Test
    func
        `after a logout no node and no gateway lets the next request pass (W1, S0-7, S2-3, S3-T4)`()
        async throws
    {
        // S1-16 and S3-3 ask for the same of the refresh token.
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        for node in cluster.nodes {
            let tokens = try await cluster.signIn(person)
            try await cluster.expectEverywhere(200, tokens.bearer)
            let other = try await cluster.signIn(person)
            let answer = try await node.client.send("POST", "/v1/auth/logout", tokens.bearer)
            #expect(answer.status == 204)
            #expect(answer["Clear-Site-Data"] != nil)
            try await cluster.expectEverywhere(401, tokens.bearer)
            #expect(try await cluster.refresh(tokens.refresh).status == 401)
            try await cluster.expectEverywhere(200, other.bearer)
            let me = try await node.client.send("GET", "/v1/me", tokens.bearer)
            #expect(me.code == "token-revoked")
            // Ending what has ended is no mistake (H19).
            let again = try await node.client.send("POST", "/v1/auth/logout", tokens.bearer)
            #expect(again.status == 204)
        }
    }

    @Test
    func `nothing revoked comes back, ten generations deep (S4-T1, S4-T2, S4-10, W2)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        var dead: [Tokens] = []
        for _ in 0..<10 {
            let tokens = try await cluster.signIn(person, at: cluster.gateway)
            try await cluster.expectEverywhere(200, tokens.bearer)
            let answer = try await cluster.gateway.send(
                "POST",
                "/v1/auth/logout-all",
                tokens.bearer
            )
            #expect(answer.status == 204)
            dead.append(tokens)
            for old in dead {
                try await cluster.expectEverywhere(401, old.bearer)
                let again = try await cluster.gateway.send(
                    "POST",
                    "/v1/auth/logout-all",
                    old.bearer
                )
                #expect(again.status == 401)
                #expect(again.code == "token-revoked")
                #expect(try await cluster.refresh(old.refresh).status == 401)
            }
        }
        // An old token's logout-all did not take the new one away.
        try await cluster.expectEverywhere(200, cluster.signIn(person).bearer)
    }

    @Test
    func `history is newest first and pages neither repeat nor skip (S4-T16, S4-13, S1-24, S1-9)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        for index in 0..<7 {
            let password = index == 3 ? "a wrong password, really" : person.password
            _ = try await cluster.login(
                person.email,
                password,
                [("User-Agent", "agent \(index)"), ("X-Forwarded-For", "203.0.113.\(index)")]
            )
        }
        let tokens = try await cluster.signIn(person)
        var agents: [String] = []
        var addresses: [String] = []
        var outcomes: [String] = []
        var times: [String] = []
        var target = "/v1/me/login-history?limit=3"
        for _ in 0..<5 {
            let page = try await cluster.node.send("GET", target, tokens.bearer)
            #expect(page.status == 200)
            for item in page.json.at("items")?.items ?? [] {
                #expect(item.names == ["at", "ip_address", "user_agent", "outcome"])
                agents.append(item.at("user_agent")?.string ?? "?")
                addresses.append(item.at("ip_address")?.string ?? "?")
                outcomes.append(item.at("outcome")?.string ?? "?")
                times.append(item.at("at")?.string ?? "?")
            }
            guard let cursor = page.text("next_cursor") else { break }
            target = "/v1/me/login-history?limit=3&cursor=\(cursor)"
        }
        #expect(agents == [""] + (0..<7).reversed().map { "agent \($0)" })
        #expect(addresses == ["127.0.0.1"] + (0..<7).reversed().map { "203.0.113.\($0)" })
        // The time of the latest one stands at the account too (S4-5).
        let me = try await cluster.node.send("GET", "/v1/me", tokens.bearer)
        #expect(me.text("last_login_at") == times.first)
        #expect(outcomes[4] == "wrong-password")
        let signedIn = outcomes.count { $0 == "signed-in" }
        #expect(signedIn == 7)
        #expect(times == times.sorted(by: >))
        let bad = try await cluster.node.send(
            "GET",
            "/v1/me/login-history?cursor=AAAA",
            tokens.bearer
        )
        #expect(bad.status == 400)
    }

    @Test
    func `a changed password ends all else, and the old one is wrong (S4-T10, S3-8, rows 20, 23)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let mine = try await cluster.signIn(person)
        let other = try await cluster.signIn(person)
        func change(_ current: String, _ new: String) async throws -> HTTPAnswer {
            cluster.secrets.add(new, "password")
            return try await cluster.node.send(
                "POST",
                "/v1/me/password",
                mine.bearer,
                json: "{\"current_password\":\"\(current)\",\"new_password\":\"\(new)\"}"
            )
        }
        let wrong = try await change("it is not this one", "a brand new pass phrase")
        #expect(wrong.status == 401)
        #expect(wrong.code == "password-incorrect")
        #expect(try await change(person.password, "short").status == 400)
        let fresh = "new and \(person.username) is better"
        let kept = try Tokens(await change(person.password, fresh))
        #expect(kept.session == mine.session)
        try await cluster.expectEverywhere(401, mine.bearer)
        try await cluster.expectEverywhere(401, other.bearer)
        try await cluster.expectEverywhere(200, kept.bearer)
        #expect(try await cluster.login(person.email, person.password).status == 401)
        #expect(try await cluster.login(person.email, fresh).status == 200)
    }
}
