-- One atomic look at a shard: its meta and the wanted entries, if it stands where the caller thinks it does.
-- KEYS: m, g0 (current generation), g1 (older). ARGV: position ('' = none yet), id ...
-- Returns nothing when it stands elsewhere or entries went missing, else meta and for each id its entry or nothing.
local position, n0, n1 = unpack(redis.call('HMGET', KEYS[1], 'pos', 'n0', 'n1'))
if (position or '') ~= ARGV[1] then return false end
if not position then return {''} end -- entries without a position belong to nothing
if tonumber(n0) ~= redis.call('HLEN', KEYS[2]) or tonumber(n1) ~= redis.call('HLEN', KEYS[3]) then return false end

local found = {redis.call('HGET', KEYS[1], 'meta')}
for first = 2, #ARGV, 7000 do -- Lua unpacks fewer than 8000 values
  local last = math.min(first + 6999, #ARGV)
  local current = redis.call('HMGET', KEYS[2], unpack(ARGV, first, last))
  local older = n1 ~= '0' and redis.call('HMGET', KEYS[3], unpack(ARGV, first, last)) or {}
  for i = 1, #current do found[#found + 1] = current[i] or older[i] or false end
end
return found
