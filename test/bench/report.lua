-- SPDX-License-Identifier: MIT
-- test/bench/report.lua: used by every run of wrk: takes its request from the environment, and prints its result as one line of JSON.
--
--   BENCH_METHOD, BENCH_BODY_SIZE (bytes), BENCH_BODY (text), BENCH_ACCEPT    the request, the same each time
--   BENCH_WINDOW (seconds), BENCH_CONNECTIONS                                 with them no request starts after the window, and the run ends when those under
--                                                                             way are done: for large ones, of which many would be cut and not counted
local ffi = require("ffi")
ffi.cdef [[
typedef struct { long s; long ns; } bench_time;
int clock_gettime(int clock, bench_time *time);
int getpid(void);
int kill(int pid, int signal);
]]

wrk.method = os.getenv("BENCH_METHOD") or "GET"
local size = tonumber(os.getenv("BENCH_BODY_SIZE") or 0)
if size > 0 then wrk.body = string.rep("0123456789abcdef", math.floor(size / 16)) .. string.rep("x", size % 16) end
if os.getenv("BENCH_BODY") then wrk.body = os.getenv("BENCH_BODY") end
if os.getenv("BENCH_ACCEPT") then wrk.headers["Accept"] = os.getenv("BENCH_ACCEPT") end

local time = ffi.new("bench_time")
local function now()
    ffi.C.clock_gettime(1, time) -- CLOCK_MONOTONIC
    return tonumber(time.s) + tonumber(time.ns) / 1e9
end

local window = tonumber(os.getenv("BENCH_WINDOW") or "")
local threads = {}
if window then
    local connections = tonumber(os.getenv("BENCH_CONNECTIONS"))
    local rests = {}
    local resting = 0

    function setup(thread) table.insert(threads, thread) end

    -- Before every request, wrk asks how long to delay it. These are globals so that done() can read them.
    function delay()
        last = now()
        began = began or last
        if last - began < window then return 0 end
        resting = resting + 1
        if resting == connections then ffi.C.kill(ffi.C.getpid(), 2) end -- SIGINT ends wrk early, with its report
        return 3600000
    end
end

function done(summary, latency)
    local seconds = summary.duration / 1e6
    if threads[1] then seconds = threads[1]:get("last") - threads[1]:get("began") end
    local e = summary.errors
    io.write(string.format('\nRESULT {"requests": %d, "bytes": %.0f, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, '
        .. '"errors": {"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}}\n',
        summary.requests, summary.bytes, seconds, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
        e.connect, e.read, e.write, e.status, e.timeout))
end
