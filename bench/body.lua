-- Posts one body over and over: the file that holds it is the argument.
local folder = debug.getinfo(1, "S").source:match("^@(.*/)")
dofile(folder .. "report.lua")

function init(args)
    local file = io.open(args[1])
    wrk.method = "POST"
    wrk.body = file:read("*a")
    wrk.headers["Content-Type"] = "application/json"
    file:close()
end

function request()
    return wrk.format()
end
