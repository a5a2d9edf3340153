"""What Redis does for us in one indivisible step each, in its own Lua.

Keys, all of them disposable:

    c2a:meta             hash   born, beat, quiet, calm, events, fence (below)
    c2a:seen             zset   process -> when it was last heard of
    c2a:image:<process>  hash   its figures: head (number of the last page), who, one field a page
    c2a:image:retired    hash   the figures of all those that are gone
    c2a:grave:<process>  hash   the image of one that is gone, should it come back after all
    c2a:held:<process>   hash   account -> credits; `#` is the number of the last question
    c2a:events           list   the last announcements
    c2a:owner:<key>      string whose an encrypted item is
    c2a:lease:<name>     string who has it, with which number
    c2a:bell             channel on which is rung
    c2a:bound            channel on which is told at once what belongs to which account

All times are the server's, in milliseconds, so the clocks of the processes do not matter. `born` is
when this database began: another one means that everything was lost. `beat` is when anybody was
last heard of; if that was long ago, or never, the server may have been away, so until `quiet`
nobody is granted anything: others may hold what they could not say. `calm` says that the last
process left in good order, so that there is nobody to wait for. Keys are made up in the scripts,
which a Redis Cluster does not allow.
"""

from typing import Final

BELL: Final = "c2a:bell"
"""The channel on which something urgent is rung for; the message is who rang."""
BOUND: Final = "c2a:bound"
"""The channel of bindings; see `app.shared.codec.Whisper`."""

_CLOCK: Final = """
local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
"""

_IMAGES: Final = """
local RETIRED = 'c2a:image:retired'

local function numbers(key, after)
  local found = {}
  for _, name in ipairs(redis.call('HKEYS', key)) do
    local number = tonumber(name)
    if number and number > after then found[#found + 1] = number end
  end
  table.sort(found)
  return found
end

-- The rows of an image: those of accounts and those of keys by their ids, and who is in them.
local function rows(key)
  local accounts, keys, folded = {}, {}, {}
  for _, number in ipairs(numbers(key, 0)) do
    local page = cmsgpack.unpack(redis.call('HGET', key, number))
    for _, row in ipairs(page[1]) do accounts[row[1]] = row end
    for _, row in ipairs(page[2]) do keys[row[1]] = row end
    folded = page[3]
  end
  return accounts, keys, folded
end

local function values(map)
  local found = {}
  for _, row in pairs(map) do found[#found + 1] = row end
  return found
end

-- Money of one period: at is the place of its beginning in the row.
local function spend(total, row, at, sign)
  if row[at] > total[at] then
    if sign > 0 then total[at], total[at + 1] = row[at], row[at + 1] end
  elseif row[at] == total[at] then
    total[at + 1] = total[at + 1] + sign * row[at + 1]
  end
end

-- Add the rows of an image to those of the retired, or take them out again.
local function fold(name, key, sign, keep_ms)
  local accounts, keys, folded = rows(RETIRED)
  local more, spent = rows(key)
  for id, row in pairs(more) do
    local total = accounts[id] or {id, 0, 0, 0, 0}
    total[4] = total[4] + sign * row[4]
    total[5] = total[5] + sign * row[5]
    accounts[id] = total
  end
  for id, row in pairs(spent) do
    local total = keys[id] or {id, row[2], 0, row[4], 0}
    spend(total, row, 2, sign)
    spend(total, row, 4, sign)
    keys[id] = total
  end
  local names = {}
  for _, other in ipairs(folded) do
    if other ~= name then names[#names + 1] = other end
  end
  if sign > 0 then names[#names + 1] = name end
  while #names > 1000 do table.remove(names, 1) end
  local old = numbers(RETIRED, 0)
  local head = tonumber(redis.call('HGET', RETIRED, 'head') or '0') + 1
  redis.call('HSET', RETIRED, 'head', head,
             head, cmsgpack.pack({values(accounts), values(keys), names}))
  for _, number in ipairs(old) do redis.call('HDEL', RETIRED, number) end
  redis.call('PEXPIRE', RETIRED, keep_ms)
end
"""

SYNC: Final = (
    _CLOCK
    + _IMAGES
    + """
-- ARGV: what is said (msgpack), who says it, then the pages, then the announcements.
local said = cmsgpack.unpack(ARGV[1])
local now = clock()
local meta = redis.call('HMGET', 'c2a:meta', 'born', 'beat', 'quiet', 'calm', 'events')
local born, events = meta[1], tonumber(meta[5] or '0')
local fresh = not born
if fresh then
  born = string.format('%d', now)
  redis.call('HSET', 'c2a:meta', 'born', born)
end
local quiet = tonumber(meta[3] or '0')
if not meta[4] and (fresh or now - tonumber(meta[2] or '0') > said.gap) then
  quiet = now + said.grace
end
redis.call('HSET', 'c2a:meta', 'beat', now, 'quiet', quiet)
redis.call('HDEL', 'c2a:meta', 'calm')

local mine, grave = 'c2a:image:' .. said.me, 'c2a:grave:' .. said.me
local head = tonumber(redis.call('HGET', mine, 'head') or '0')
if not said.anew and (head < said.low or head > said.high) then return {born, 0} end
if said.anew then
  if redis.call('EXISTS', grave) == 1 then
    fold(said.me, grave, -1, said.keep)
    redis.call('DEL', grave)
  end
  redis.call('DEL', mine)
end
for i, number in ipairs(said.pages) do redis.call('HSET', mine, number, ARGV[2 + i]) end
for _, number in ipairs(said.drops) do redis.call('HDEL', mine, number) end
redis.call('HSET', mine, 'head', said.head, 'who', ARGV[2])
redis.call('PEXPIRE', mine, said.keep)
redis.call('PEXPIRE', RETIRED, said.keep)
redis.call('ZADD', 'c2a:seen', now, said.me)
redis.call('PEXPIRE', 'c2a:held:' .. said.me, 60000)
local held = redis.call('EXISTS', 'c2a:held:' .. said.me)

for i = 1, said.announced do
  redis.call('RPUSH', 'c2a:events', ARGV[2 + #said.pages + i])
end
if said.announced > 0 then
  events = events + said.announced
  redis.call('LTRIM', 'c2a:events', -said.events_max, -1)
  redis.call('HSET', 'c2a:meta', 'events', events)
end
if said.ring then redis.call('PUBLISH', 'c2a:bell', said.me) end
local missed, wanted = 0, events - said.heard
if said.born ~= born then
  if said.born ~= '' then missed = 1 end
  wanted = events
elseif wanted > redis.call('LLEN', 'c2a:events') then
  missed = 1
end
local news = {}
if wanted > 0 then news = redis.call('LRANGE', 'c2a:events', -wanted, -1) end

local seen = redis.call('ZRANGE', 'c2a:seen', 0, -1, 'WITHSCORES')
seen[#seen + 1], seen[#seen + 2] = 'retired', '0'
local peers, left, more = {}, said.bytes_max, 0
for i = 1, #seen, 2 do
  local name = seen[i]
  if name ~= said.me then
    local key = 'c2a:image:' .. name
    local got = redis.call('HMGET', key, 'head', 'who')
    local last, known = tonumber(got[1] or '0'), said.known[name] or 0
    local peer = {name, math.max(0, now - tonumber(seen[i + 1])), got[2] or '', 0}
    if last > 0 and last < known then known, peer[4] = 0, 1 end
    if last > known then
      local found = {known + 1}
      if last > known + 1 or redis.call('HEXISTS', key, last) == 0 then
        found = numbers(key, known)
      end
      for _, number in ipairs(found) do
        if left <= 0 then more = 1 break end
        local page = redis.call('HGET', key, number)
        left = left - #page
        peer[#peer + 1] = number
        peer[#peer + 1] = page
      end
    end
    peers[#peers + 1] = peer
  end
end
return {born, 1, held, events, missed, news, more, peers}
"""
)
"""Say figures and events, hear those of the others: one round."""

FOLD: Final = (
    _CLOCK
    + _IMAGES
    + """
-- ARGV: a process, how long it must not have been heard of, how long to keep what is left of it.
local name, keep = ARGV[1], tonumber(ARGV[3])
local score = redis.call('ZSCORE', 'c2a:seen', name)
if not score or clock() - tonumber(score) < tonumber(ARGV[2]) then return 0 end
local key = 'c2a:image:' .. name
if redis.call('EXISTS', key) == 1 then
  fold(name, key, 1, keep)
  redis.call('RENAME', key, 'c2a:grave:' .. name)
  redis.call('PEXPIRE', 'c2a:grave:' .. name, keep)
end
redis.call('ZREM', 'c2a:seen', name)
redis.call('DEL', 'c2a:held:' .. name)
return 1
"""
)
"""Make the figures of a process that is gone part of those of the retired, exactly once."""

RESTORE: Final = (
    _CLOCK
    + """
-- ARGV: a process, the number of its last page, its rows as one page, its age, how long to keep it.
local name, head = ARGV[1], tonumber(ARGV[2])
local key = 'c2a:image:' .. name
if redis.call('EXISTS', 'c2a:grave:' .. name) == 1 then return 0 end
if tonumber(redis.call('HGET', key, 'head') or '0') >= head then return 0 end
redis.call('DEL', key)
redis.call('HSET', key, 'head', head, head, ARGV[3])
redis.call('PEXPIRE', key, ARGV[5])
if name ~= 'retired' then
  redis.call('ZADD', 'c2a:seen', 'NX', clock() - tonumber(ARGV[4]), name)
end
return 1
"""
)
"""Tell a server that has lost its data what was known of a process that can't do so itself."""

CLAIM: Final = (
    _CLOCK
    + """
-- ARGV: who claims, after how long a process is gone, the number of this question, the claims.
local me, gone, claims = ARGV[1], tonumber(ARGV[2]), cmsgpack.unpack(ARGV[4])
local mine = 'c2a:held:' .. me
-- A question that was given up may come late, out of a server that stood still.
if tonumber(redis.call('HGET', mine, '#') or '0') >= tonumber(ARGV[3]) then return {} end
local now = clock()
local meta = redis.call('HMGET', 'c2a:meta', 'born', 'quiet')
local quiet = tonumber(meta[2] or '0')
-- Whom others would not count, since it has not said anything for long, is granted nothing.
local seen = tonumber(redis.call('ZSCORE', 'c2a:seen', me) or '0')
if not meta[1] or now - seen > gone / 2 then quiet = now + 1 end
local ids, others = {}, {}
for i, claim in ipairs(claims) do ids[i], others[i] = claim[1], 0 end
local alive = redis.call('ZRANGEBYSCORE', 'c2a:seen', now - gone, '+inf')
for _, name in ipairs(alive) do
  if name ~= me then
    for i, held in ipairs(redis.call('HMGET', 'c2a:held:' .. name, unpack(ids))) do
      if held then others[i] = others[i] + tonumber(held) end
    end
  end
end
local sets, drops, answer = {'#', ARGV[3]}, {}, {}
for i, claim in ipairs(claims) do
  local cap, keep, target = claim[2], claim[3], claim[4]
  local held = keep
  if now >= quiet then held = math.max(keep, math.min(target, cap - others[i])) end
  if held > 0 then
    sets[#sets + 1], sets[#sets + 2] = claim[1], held
  else
    drops[#drops + 1] = claim[1]
  end
  answer[i] = held
end
redis.call('HSET', mine, unpack(sets))
if #drops > 0 then redis.call('HDEL', mine, unpack(drops)) end
redis.call('PEXPIRE', mine, 60000)
return answer
"""
)
"""Record shares: give back what is not kept, grant what nobody else holds."""

LEASE: Final = (
    _CLOCK
    + """
-- ARGV: a name, who wants it, for how long, after how long a holder is lost.
local key, now = 'c2a:lease:' .. ARGV[1], clock()
local holder = string.match(redis.call('GET', key) or '', '^(.*):')
if holder then
  -- One that was never heard of has only just begun.
  local seen = redis.call('ZSCORE', 'c2a:seen', holder)
  local quiet = tonumber(redis.call('HGET', 'c2a:meta', 'quiet') or '0')
  if seen and now >= quiet and now - tonumber(seen) > tonumber(ARGV[4]) then
    redis.call('DEL', key)
  end
end
local number = math.max(tonumber(redis.call('HGET', 'c2a:meta', 'fence') or '0') + 1, now)
local token = ARGV[2] .. ':' .. string.format('%d', number)
if not redis.call('SET', key, token, 'NX', 'PX', ARGV[3]) then return 0 end
redis.call('HSET', 'c2a:meta', 'fence', string.format('%d', number))
return number
"""
)
"""Lease a name. As numbers follow the clock, they grow even over a loss of all data."""

RELEASE: Final = """
-- ARGV: a name, who had it with which number, how much later it is free.
local key, later = 'c2a:lease:' .. ARGV[1], tonumber(ARGV[3])
if redis.call('GET', key) ~= ARGV[2] then return 0 end
if later > 0 then return redis.call('PEXPIRE', key, later) end
return redis.call('DEL', key)
"""
"""Give a lease back, if it is still ours."""

BIND: Final = """
-- ARGV: what those who listen are told, how long to keep whose an item is, then items and owners.
redis.call('PUBLISH', 'c2a:bound', ARGV[1])
for i = 3, #ARGV, 2 do redis.call('SET', 'c2a:owner:' .. ARGV[i], ARGV[i + 1], 'PX', ARGV[2]) end
return 1
"""
"""Tell what belongs to whom, and keep what only its owner can read."""

LEAVE: Final = (
    _CLOCK
    + """
-- ARGV: who goes, after how long a process is gone.
local now, gone = clock(), tonumber(ARGV[2])
redis.call('DEL', 'c2a:held:' .. ARGV[1])
redis.call('ZADD', 'c2a:seen', 'XX', now - gone - 1, ARGV[1])
if redis.call('ZCOUNT', 'c2a:seen', now - gone, '+inf') == 0 then
  redis.call('HSET', 'c2a:meta', 'calm', 1)
end
redis.call('PUBLISH', 'c2a:bell', ARGV[1])
return 1
"""
)
"""Go in good order."""
