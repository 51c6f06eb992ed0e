-- SPDX-License-Identifier: MIT
-- test/bench/put.lua: uploads that alternate between a new and an overwritten name. Large bodies only overwrite, with BENCH_NAMES names.
--
--   BENCH_PREFIX, BENCH_QUERY    of the path; BENCH_RUN makes the new names of every run different
dofile(debug.getinfo(1, "S").source:match("@(.*/)") .. "report.lua")

local prefix, query, run = os.getenv("BENCH_PREFIX"), os.getenv("BENCH_QUERY"), os.getenv("BENCH_RUN")
local count = tonumber(os.getenv("BENCH_NAMES") or 256)
local is_large = #wrk.body >= 1048576
local head, old = "", {}
local at = 0

function init()
    wrk.method = "PUT"
    for i = 1, count do old[i] = wrk.format("PUT", prefix .. "old" .. i .. query) end
    head = old[1]:gsub("^.-\r\n", "")
end

function request()
    at = at + 1
    if is_large then return old[at % count + 1] end
    if at % 2 == 0 then return old[at / 2 % count + 1] end
    return "PUT " .. prefix .. "new" .. run .. "-" .. at .. query .. " HTTP/1.1\r\n" .. head
end
