-- For wrk: sends the bodies of a file in turn and writes down every answer.
-- One thread a connection (-t N -c N), so that a thread's answers belong to its requests.
-- $BENCH_BODIES: one request body a line. $BENCH_ANSWERS: written at the end, `nth start finish status` a line; nth counts a thread's
-- answers from 1, times are in seconds.

local ffi = require("ffi")
ffi.cdef [[
typedef struct { long seconds; long nanoseconds; } bench_time;
int clock_gettime(int clock, bench_time *time);
]]
local MONOTONIC = 1
local time = ffi.new("bench_time")

local function now()
    ffi.C.clock_gettime(MONOTONIC, time)
    return tonumber(time.seconds) + tonumber(time.nanoseconds) * 1e-9
end

local threads = {}

function setup(thread)
    thread:set("number", #threads)
    table.insert(threads, thread)
end

function init(args)
    bodies = {}
    for line in io.lines(os.getenv("BENCH_BODIES")) do
        table.insert(bodies, wrk.format("POST", wrk.path, { ["Content-Type"] = "application/json" }, line))
    end
    -- Threads begin at different places, so that they do not ask the same at the same time.
    position = number * 7
    answers = {}
end

function request()
    position = position + 1
    started = now()
    return bodies[position % #bodies + 1]
end

function response(status)
    table.insert(answers, string.format("%d %.6f %.6f %d", #answers + 1, started, now(), status))
end

function done()
    local file = io.open(os.getenv("BENCH_ANSWERS"), "w")
    for _, thread in ipairs(threads) do
        for _, answer in ipairs(thread:get("answers")) do
            file:write(answer, "\n")
        end
    end
    file:close()
end
