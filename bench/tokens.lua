-- Asks /verify with one bearer token after another, round and round: more of them than a node
-- remembers. For one thread of wrk; the file of tokens is its argument.
local folder = debug.getinfo(1, "S").source:match("^@(.*/)")
dofile(folder .. "report.lua")

local requests, at = {}, 0

function init(args)
    for line in io.lines(args[1]) do
        requests[#requests + 1] =
            wrk.format("GET", "/verify", { Authorization = "Bearer " .. line })
    end
end

function request()
    at = at % #requests + 1
    return requests[at]
end
