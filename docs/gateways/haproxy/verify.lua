-- HAProxy has no forward authentication of its own: this asks /verify about a request, with the
-- client HAProxy brings (2.5 or later), and keeps the answer in variables of the transaction.
local names = { "user", "session", "roles", "scopes", "client", "org" }

core.register_action("watchword", { "http-req" }, function(txn)
    local seen = txn.http:req_get_headers()
    local asked = {
        ["x-original-method"] = { txn.sf:method() },
        ["x-original-uri"] = { txn.sf:pathq() },
        ["x-forwarded-for"] = { txn.sf:src() },
    }
    -- Without its key /verify cannot tell a WebSocket, which needs an origin of ours, from a page.
    for _, name in ipairs({
        "authorization", "cookie", "x-csrf-token", "x-org", "origin", "sec-websocket-key",
    }) do
        local values = seen[name]
        if values then
            asked[name] = {}
            for index = 0, #values do asked[name][index + 1] = values[index] end
        end
    end
    local answer = core.httpclient():get{
        url = "http://@NODE@/verify", headers = asked, timeout = 2000,
    }
    -- No answer is no.
    txn:set_var("txn.status", answer and answer.status or 503)
    for _, name in ipairs(names) do
        local values = answer and answer.headers["x-auth-" .. name]
        txn:set_var("txn." .. name, values and values[0] or "")
    end
end, 0)
