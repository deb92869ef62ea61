-- Signs in as one account after the other. The file of request bodies is its argument.
local folder = debug.getinfo(1, "S").source:match("^@(.*/)")
dofile(folder .. "report.lua")

local bodies, turn = {}, 0
local headers = { ["Content-Type"] = "application/json" }

function init(args)
    for line in io.lines(args[1]) do bodies[#bodies + 1] = line end
end

function request()
    turn = turn % #bodies + 1
    return wrk.format("POST", "/v1/auth/login", headers, bodies[turn])
end
