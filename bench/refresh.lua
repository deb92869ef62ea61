-- Refreshes sessions in chains: each token is taken out of a queue, exchanged, and its child goes
-- to the end of the queue. For one thread of wrk; the file of tokens is its argument.
local folder = debug.getinfo(1, "S").source:match("^@(.*/)")
dofile(folder .. "report.lua")

local tokens, first, last = {}, 1, 0
local headers = { ["Content-Type"] = "application/json" }

function init(args)
    for line in io.lines(args[1]) do
        last = last + 1
        tokens[last] = line
    end
end

function request()
    local token = tokens[first]
    tokens[first] = nil
    first = first + 1
    return wrk.format("POST", "/v1/auth/refresh", headers, '{"refresh_token":"' .. token .. '"}')
end

function response(status, _, body)
    last = last + 1
    tokens[last] = body:match('"refresh_token":"([^"]+)"')
end
