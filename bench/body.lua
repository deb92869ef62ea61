-- Posts one body over and over: the file that holds it is the argument.
local folder = debug.getinfo(1, "S").source:match("^@(.*/)")
dofile(folder .. "report.lua")

local body

function init(args)
    local file = io.open(args[1])
    body = file:read("*a")
    file:close()
end

function request()
    return wrk.format("POST", nil, { ["Content-Type"] = "application/json" }, body)
end
