"""The one script of the history in Redis: it writes a turn and makes room for it in one step."""

from typing import Final

PREFIX: Final = "c2a:history:"
ALL: Final = f"{PREFIX}all"
"""All turns by when they are over; a member is `name|caller|bytes`. Each caller has one as well."""

WRITE: Final = """
-- KEYS: the turn, all turns, the caller's turns, the names of the items in it
-- ARGV: record, response id, member, size, ttl ms, now, over at, the caller's room, all room
local function bytes_of(index) return tonumber(redis.call('GET', index .. ':bytes') or '0') end
local function drop(member)
  local name, caller, size = string.match(member, '^(.*)|(.*)|(%d+)$')
  local own = 'c2a:history:' .. caller .. ':all'
  redis.call('DEL', name)
  redis.call('ZREM', own, member)
  if redis.call('ZREM', KEYS[2], member) == 1 then
    redis.call('DECRBY', KEYS[2] .. ':bytes', size)
    redis.call('DECRBY', own .. ':bytes', size)
  end
end
local over = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[6], 'LIMIT', 0, 100)
for _, member in ipairs(over) do drop(member) end
if redis.call('ZADD', KEYS[2], ARGV[7], ARGV[3]) == 1 then
  redis.call('INCRBY', KEYS[2] .. ':bytes', ARGV[4])
  redis.call('INCRBY', KEYS[3] .. ':bytes', ARGV[4])
end
redis.call('ZADD', KEYS[3], ARGV[7], ARGV[3])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[5])
for at = 4, #KEYS do redis.call('SET', KEYS[at], ARGV[2], 'PX', ARGV[5]) end
for _, bound in ipairs({{KEYS[3], ARGV[8]}, {KEYS[2], ARGV[9]}}) do
  while bytes_of(bound[1]) > tonumber(bound[2]) do
    local oldest = redis.call('ZRANGE', bound[1], 0, 0)[1]
    if not oldest then
      redis.call('SET', bound[1] .. ':bytes', 0)
      break
    end
    drop(oldest)
  end
end
return redis.call('ZCARD', KEYS[2])
"""
