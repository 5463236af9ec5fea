-- Replace a partition's book with everything that belongs to it, if it is still the one that was read.
-- KEYS: b (hash: book, mark, alert:<offset> ...), log (list).
-- ARGV: mark ('' = no book yet), next mark, next book, outcomes kept,
--       number of alerts added, offset, alert ..., number of alerts dropped, offset ..., outcome ...
-- Returns 1, or 0 without having written. Every check comes before the first write.
if (redis.call('HGET', KEYS[1], 'mark') or '') ~= ARGV[1] then return 0 end

if ARGV[1] == '' then redis.call('UNLINK', KEYS[1]) end -- alerts without a book belong to nothing
redis.call('HSET', KEYS[1], 'mark', ARGV[2], 'book', ARGV[3])
local at = 5
for _ = 1, tonumber(ARGV[at]) do
  redis.call('HSET', KEYS[1], 'alert:' .. ARGV[at + 1], ARGV[at + 2])
  at = at + 2
end
at = at + 1
for _ = 1, tonumber(ARGV[at]) do
  redis.call('HDEL', KEYS[1], 'alert:' .. ARGV[at + 1])
  at = at + 1
end
for i = at + 1, #ARGV do redis.call('RPUSH', KEYS[2], ARGV[i]) end
if #ARGV > at then redis.call('LTRIM', KEYS[2], -tonumber(ARGV[4]), -1) end
return 1
