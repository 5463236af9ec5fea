-- Move a shard to its next position with everything that belongs to it, if it still stands where it was read and has
-- all its entries.
-- KEYS: m, g0 (current generation), g1 (older).
-- ARGV: position ('' = none yet), next position, meta, words ('' = unchanged), rotate ('1' or '0'), mark, how many ids
-- are erased, those ids, id, entry, ...
-- Returns 1, or 0 without having written. Every check comes before the first write.
local position, n0, n1 = unpack(redis.call('HMGET', KEYS[1], 'pos', 'n0', 'n1'))
if (position or '') ~= ARGV[1] then return 0 end
if not position then
  redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3]) -- a rebuild starts clean
elseif tonumber(n0) ~= redis.call('HLEN', KEYS[2]) or tonumber(n1) ~= redis.call('HLEN', KEYS[3]) then
  return 0 -- the sizes written below would hide what went missing
end
if ARGV[5] == '1' then
  redis.call('UNLINK', KEYS[3])
  if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('RENAME', KEYS[2], KEYS[3]) end
end
local entries = 8 + tonumber(ARGV[7])
for first = entries, #ARGV, 7000 do -- Lua unpacks fewer than 8000 values
  redis.call('HSET', KEYS[2], unpack(ARGV, first, math.min(first + 6999, #ARGV)))
end
for id = 8, entries - 1 do
  if redis.call('HGET', KEYS[3], ARGV[id]) then
    redis.call('HSET', KEYS[3], ARGV[id], redis.call('HGET', KEYS[2], ARGV[id]))
  end
end
if ARGV[4] ~= '' then redis.call('HSET', KEYS[1], 'words', ARGV[4]) end
redis.call('HSET', KEYS[1], 'pos', ARGV[2], 'meta', ARGV[3], 'mark', ARGV[6],
  'n0', redis.call('HLEN', KEYS[2]), 'n1', redis.call('HLEN', KEYS[3]))
return 1
