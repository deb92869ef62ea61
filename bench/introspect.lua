-- Introspects one token (RFC 7662). The file of its argument: the credentials, then the token.
local folder = debug.getinfo(1, "S").source:match("^@(.*/)")
dofile(folder .. "report.lua")

local text

function init(args)
    local lines = {}
    for line in io.lines(args[1]) do lines[#lines + 1] = line end
    local headers = {
        ["Authorization"] = lines[1],
        ["Content-Type"] = "application/x-www-form-urlencoded",
    }
    text = wrk.format("POST", "/api/oidc/introspect", headers, "token=" .. lines[2])
end

function request() return text end
