// Tracing for Redis through hiredis. This version has what the tracing rests on, and no public call yet:
// commands are read from their bytes (RESP) and shown as texts without values, by one policy for every
// command of Redis 7.2. What comes is in redis/README.md.
#pragma once
