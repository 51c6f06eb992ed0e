-- SPDX-License-Identifier: MIT
-- test/bench/paths.lua: requests the paths in the file BENCH_PATHS (one on each line) in rotation.
dofile(debug.getinfo(1, "S").source:match("@(.*/)") .. "report.lua")

local requests = {}
local at = 0

function init()
    for path in io.lines(os.getenv("BENCH_PATHS")) do table.insert(requests, wrk.format(nil, path)) end
end

function request()
    at = at % #requests + 1
    return requests[at]
end
